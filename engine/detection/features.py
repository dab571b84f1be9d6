"""Embeddings of training photos, of parts and mirror images, made once, read from one file.

A file of half-precision numbers mapped into memory: what is not in use costs no memory, whatever
the number of photos. It appears whole or not at all.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from engine.training.annotated import AnnotatedPhoto
from model.detection.training import DetectorExample
from model.geometry import Geometry
from model.sam_embedding import SamEmbedding
from model.segmenter import PromptableSegmenter
from stages import ids

Told = Callable[[int, int], None]
_SMALLEST_SIDE_PX = 4.0
_ZOOMED_SHARE = (0.35, 0.8)


@dataclass(frozen=True)
class View:
    """A photo or a part of it, or the mirror image of either.

    Attributes:
        photo: the photo.
        is_mirrored: left and right changed, after the part was cut out.
        window_xyxy: edges of the part in pixels of the photo; None for all of it.
    """

    photo: AnnotatedPhoto
    is_mirrored: bool = False
    window_xyxy: tuple[int, int, int, int] | None = None

    @property
    def edges_xyxy(self) -> tuple[int, int, int, int]:
        """Of what is seen, in pixels of the photo."""
        return self.window_xyxy or (0, 0, self.photo.width_px, self.photo.height_px)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Of what is seen, in pixels."""
        left, top, right, bottom = self.edges_xyxy
        return bottom - top, right - left

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """(N, 4) edges in pixels of the view, of objects whose middle is in it."""
        window = np.array(self.edges_xyxy, np.float32)
        corners = self.photo.boxes_xywh.copy()
        corners[:, 2:] += corners[:, :2]
        middle = (corners[:, :2] + corners[:, 2:]) / 2
        seen = ((middle >= window[:2]) & (middle < window[2:])).all(axis=1)
        size_wh = window[2:] - window[:2]
        inside = np.clip(corners[seen] - np.tile(window[:2], 2), 0, np.tile(size_wh, 2))
        if self.is_mirrored:
            inside[:, [0, 2]] = size_wh[0] - inside[:, [2, 0]]
        return inside.astype(np.float32)

    def cut_from(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels of the view, from those of the photo."""
        left, top, right, bottom = self.edges_xyxy
        seen = image_HWC[top:bottom, left:right]
        return np.ascontiguousarray(seen[:, ::-1] if self.is_mirrored else seen)


def views_of(
    photos: Sequence[AnnotatedPhoto], *, mirrored: bool, zoomed: int, seed: int
) -> list[View]:
    """Every photo, its mirror image, and parts of it around one object each.

    Args:
        photos: at least one mask each.
        mirrored: whether there are mirror images.
        zoomed: parts of a photo.
        seed: of what is drawn; the same seed, the same parts.
    """
    views: list[View] = []
    for number, photo in enumerate(photos):
        views += [View(photo, is_mirrored) for is_mirrored in ((False, True)[: 1 + mirrored])]
        draw = np.random.default_rng([seed, number])
        views += [_zoomed(photo, draw, mirrored=mirrored) for _ in range(zoomed)]
    return views


def _zoomed(photo: AnnotatedPhoto, draw: np.random.Generator, *, mirrored: bool) -> View:
    """A part of the photo, of its own proportions, with the middle of an object in it."""
    size_wh = np.array([photo.width_px, photo.height_px])
    part_wh = np.maximum(np.round(size_wh * draw.uniform(*_ZOOMED_SHARE)), 1).astype(int)
    left, top, width, height = photo.boxes_xywh[draw.integers(len(photo.boxes_xywh))]
    middle_xy = np.array([left + width / 2, top + height / 2])
    corner = np.clip(middle_xy - part_wh * draw.uniform(0.2, 0.8, 2), 0, size_wh - part_wh)
    x, y = (int(edge) for edge in corner)
    is_mirrored = mirrored and bool(draw.integers(2))
    return View(photo, is_mirrored, (x, y, x + int(part_wh[0]), y + int(part_wh[1])))


class EmbeddedViews:
    """Views by their number, each with the embedding that a model makes of it.

    Args:
        views: at least one.
        segmenter: the model.
        folder: where the file is kept.
        told: how many views are embedded, of how many.
    """

    def __init__(
        self,
        views: Sequence[View],
        segmenter: PromptableSegmenter,
        folder: Path,
        *,
        told: Told = lambda done, total: None,
    ) -> None:
        self._views = views
        self._input_size = segmenter.input_size
        first = _features(segmenter, views[0], views[0].photo.read_image())
        named = [(str(view.photo.path), view.is_mirrored, view.window_xyxy) for view in views]
        name = ids.digest(repr((segmenter.model_id, named)))
        path = folder / f"embeddings-{name}.f16"
        self._shape = (len(views), *first.shape)
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._embed(segmenter, path, told)
        self._features: NDArray[np.float16] = np.memmap(
            path, np.float16, mode="r", shape=self._shape
        )

    def __len__(self) -> int:
        return len(self._views)

    def example(self, number: int) -> DetectorExample:
        """What the detector learns from a view."""
        view = self._views[number]
        geometry = Geometry(view.size_hw, self._input_size)
        corners = geometry.to_input_xy(view.boxes_xyxy.reshape(-1, 2, 2)).reshape(-1, 4)
        large = (corners[:, 2:] - corners[:, :2]).min(axis=1) >= _SMALLEST_SIDE_PX
        return DetectorExample(self._features[number], geometry.scaled_hw, corners[large])

    def _embed(self, segmenter: PromptableSegmenter, path: Path, told: Told) -> None:
        part = path.with_suffix(f".{os.getpid()}.part")
        features = np.memmap(part, np.float16, mode="w+", shape=self._shape)
        numbered = enumerate(self._views)
        for _, same in itertools.groupby(numbered, key=lambda pair: id(pair[1].photo)):
            image_HWC: NDArray[np.uint8] | None = None
            for number, view in same:
                told(number, len(self._views))
                image_HWC = view.photo.read_image() if image_HWC is None else image_HWC
                features[number] = _features(segmenter, view, image_HWC)
        features.flush()
        part.replace(path)


def _features(
    segmenter: PromptableSegmenter, view: View, image_HWC: NDArray[np.uint8]
) -> NDArray[np.float32]:
    embedding = cast(SamEmbedding, segmenter.embed(view.cut_from(image_HWC)))
    features: NDArray[np.float32] = embedding.features[0].cpu().numpy()
    return features

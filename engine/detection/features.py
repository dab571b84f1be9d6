"""Embeddings of all training photos and their mirror images, made once, read from one file.

A file of half-precision numbers mapped into memory: what is not in use costs no memory, whatever
the number of photos. It appears whole or not at all.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class View:
    """A photo, or its mirror image."""

    photo: AnnotatedPhoto
    is_mirrored: bool

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """(N, 4) edges in pixels of the view."""
        left, top, width, height = self.photo.boxes_xywh.T
        if self.is_mirrored:
            left = self.photo.width_px - left - width
        return np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)


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
        told: Told = lambda done, total: None,
    ) -> None:
        self._views = views
        self._input_size = segmenter.input_size
        first = _features(segmenter, views[0])
        named = [(str(view.photo.path), view.is_mirrored) for view in views]
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
        geometry = Geometry((view.photo.height_px, view.photo.width_px), self._input_size)
        corners = geometry.to_input_xy(view.boxes_xyxy.reshape(-1, 2, 2)).reshape(-1, 4)
        large = (corners[:, 2:] - corners[:, :2]).min(axis=1) >= _SMALLEST_SIDE_PX
        return DetectorExample(self._features[number], geometry.scaled_hw, corners[large])

    def _embed(self, segmenter: PromptableSegmenter, path: Path, told: Told) -> None:
        part = path.with_suffix(f".{os.getpid()}.part")
        features = np.memmap(part, np.float16, mode="w+", shape=self._shape)
        for number, view in enumerate(self._views):
            told(number, len(self._views))
            features[number] = _features(segmenter, view)
        features.flush()
        part.replace(path)


def _features(segmenter: PromptableSegmenter, view: View) -> NDArray[np.float32]:
    image = view.photo.read_image()
    if view.is_mirrored:
        image = np.ascontiguousarray(image[:, ::-1])
    embedding = cast(SamEmbedding, segmenter.embed(image))
    features: NDArray[np.float32] = embedding.features[0].cpu().numpy()
    return features

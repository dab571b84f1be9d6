"""Training scenes straight out of shards: shuffled, weighted, and never unpacked to files.

A block of examples draws from a few row groups, read at once and chosen by weight; the next block
reads others. Which ones follows from the seed and the example's number alone, so a killed run
goes on with the same pictures. Pixels are decoded at the resolution that a view needs, and of the
masks only what lies in it.

Shape suffixes: N masks, S side of the square view in pixels.
"""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.augment import flip, recolour
from engine.training.parameters import StreamSourceParameters, ViewParameters
from engine.training.photo_views import (
    MOST_MASKS_PER_VIEW,
    Window,
    WindowShape,
    choose_window,
    cut_image,
)
from engine.training.scene import Scene, SceneSource, drop_useless_masks, padded
from engine.training.shard_index import index_groups, read_group
from model.errors import ConfigurationError
from pipelines.storage import Folder
from stages import rle
from stages.records import ImageRow

REDUCTIONS = (8, 4, 2)
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_BLOCK_STREAM = 77  # keeps the choice of blocks apart from what is drawn in them


class ShardStream:
    """A `NumberedScenes` over the shards of one run whose rows carry their photos.

    Args:
        source: which run, how views are cut and masks are weighted.

    Raises:
        ConfigurationError: no such run, its rows carry no photos, or no mask has a weight.
    """

    def __init__(self, source: StreamSourceParameters) -> None:
        self._source = source
        self._folder = Folder(source.path)
        self._groups = [group for group in index_groups(self._folder, source) if group.total > 0]
        if not self._groups:
            raise ConfigurationError(
                f"source {source.name!r}: {source.path} has no mask that may be drawn; see its "
                "sampling settings"
            )
        totals = np.array([group.total for group in self._groups])
        self._shares = totals / totals.sum()
        self._block: tuple[tuple[int, int], SceneSource] | None = None

    @property
    def examples_a_block(self) -> int:
        """After so many examples other photos take their turn."""
        return self._source.photos_at_once * self._source.views_per_photo

    def at(self, seed: int, number: int) -> SceneSource:
        """The photos that example `number` is drawn from."""
        key = seed, number // self.examples_a_block
        if self._block is None or self._block[0] != key:
            self._block = key, self._read_block(*key)
        return self._block[1]

    def _read_block(self, seed: int, block: int) -> SceneSource:
        rng = np.random.default_rng([seed, _BLOCK_STREAM, block])
        rows_a_group = max(1, round(np.mean([len(group.weights) for group in self._groups])))
        wanted = max(1, round(self._source.photos_at_once / rows_a_group))
        # With replacement: a group drawn twice counts twice, which is what its weight says.
        drawn = Counter(rng.choice(len(self._groups), wanted, p=self._shares).tolist())
        photos: list[_StreamedPhoto] = []
        shares: list[float] = []
        for chosen, times in sorted(drawn.items()):
            group = self._groups[chosen]
            for row, weights in zip(
                read_group(self._folder, group.place), group.weights, strict=True
            ):
                if weights.sum() > 0:
                    photos.append(_StreamedPhoto(row, weights))
                    shares.append(times * float(weights.sum()) / group.total)
        return _BlockScenes(photos, np.array(shares), self._source.views)


class _BlockScenes:
    """The `SceneSource` of one block."""

    def __init__(
        self,
        photos: list[_StreamedPhoto],
        shares: NDArray[np.float64],
        views: ViewParameters,
    ) -> None:
        self._photos = photos
        self._shares = shares / shares.sum()
        self._shape = WindowShape(
            views.whole_share, views.zoom, views.smallest_window_px, views.photo_share
        )
        self._any_direction = views.any_direction
        self._exhaustive = views.exhaustive
        self._augment = views.augment

    def draw(self, side_px: int, rng: np.random.Generator) -> Scene:
        """A random view of one of the photos."""
        photo = self._photos[int(rng.choice(len(self._photos), p=self._shares))]
        shares = photo.weights_N / photo.weights_N.sum()
        window = choose_window(photo.boxes_xywh, photo.size_hw, self._shape, rng, shares)
        reduction = reduction_for(window, side_px)
        window = _snapped(window, reduction)
        image = cut_image(photo.pixels(reduction), _reduced(window, reduction), side_px)
        inside = photo.inside(window)
        complete = len(inside) <= MOST_MASKS_PER_VIEW
        if not complete:
            inside = rng.choice(inside, MOST_MASKS_PER_VIEW, replace=False)
        height, width = image.shape[:2]
        masks = photo.masks(inside, window, side_px)[:, :height, :width]
        masks, weights = drop_useless_masks(masks, photo.weights_N[inside])
        if len(weights) and weights.max() > 0:
            weights = weights / weights.max()
        else:
            masks, weights = masks[:0], weights[:0]
        if self._augment:
            image, masks = flip(image, masks, rng, any_direction=self._any_direction)
            image = recolour(image, rng)
        exhaustive = complete and (self._exhaustive or photo.exhaustive)
        return padded(image, masks, weights, exhaustive=exhaustive, side_px=side_px)


class _StreamedPhoto:
    """A photo of the block; what was decoded is kept while the block lasts."""

    def __init__(self, row: ImageRow, weights_N: NDArray[np.float64]) -> None:
        self._file = row.image or b""
        self._path = row.ref.path
        self._segmentations = [mask.segmentation for mask in row.masks]
        self._pixels: dict[int, NDArray[np.uint8]] = {}
        self.weights_N = weights_N
        self.boxes_xywh = np.array([mask.bbox for mask in row.masks], np.float32).reshape(-1, 4)
        self.size_hw = (row.height or 0, row.width or 0)
        self.exhaustive = bool(row.exhaustive)

    def pixels(self, reduction: int) -> NDArray[np.uint8]:
        """RGB, at a half, a quarter or an eighth where that is enough."""
        if reduction not in self._pixels:
            data = np.frombuffer(self._file, np.uint8)
            image = cv2.imdecode(data, _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
            if image is None:
                raise OSError(f"{self._path}: not an image that OpenCV can read")
            self._pixels[reduction] = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        return self._pixels[reduction]

    def inside(self, window: Window) -> NDArray[np.intp]:
        """Masks of which at least a quarter of the box lies in the window."""
        left, top, width, height = self.boxes_xywh.T
        right, bottom = window.left + window.width, window.top + window.height
        overlap_w = np.minimum(left + width, right) - np.maximum(left, window.left)
        overlap_h = np.minimum(top + height, bottom) - np.maximum(top, window.top)
        overlap = np.clip(overlap_w, 0, None) * np.clip(overlap_h, 0, None)
        return np.flatnonzero(overlap >= 0.25 * width * height)

    def masks(self, indices: NDArray[np.intp], window: Window, side_px: int) -> NDArray[np.uint8]:
        """(N, S, S) of the masks, cut as the picture is; only their boxes are decoded."""
        out = np.zeros((len(indices), side_px, side_px), np.uint8)
        for slot, index in enumerate(indices):
            left, top, width, height = (int(v) for v in self.boxes_xywh[index])
            box = (
                max(left, window.left),
                max(top, window.top),
                min(left + width, window.left + window.width),
                min(top + height, window.top + window.height),
            )
            patch = rle.decode_patch(self._segmentations[index], box)
            _paste(out[slot], patch, box, window)
        return out


def reduction_for(window: Window, side_px: int) -> int:
    """By how much a photo may be shrunk while it is decoded, so that no view is enlarged."""
    smallest = min(window.width, window.height)
    return next((r for r in REDUCTIONS if smallest >= r * side_px), 1)


def _snapped(window: Window, reduction: int) -> Window:
    """The window on whole pixels of the shrunk photo, so that masks lie where things are."""
    left, top = (value - value % reduction for value in (window.left, window.top))
    width, height = (max(1, v // reduction) * reduction for v in (window.width, window.height))
    return Window(left, top, width, height)


def _reduced(window: Window, reduction: int) -> Window:
    sides = (window.left, window.top, window.width, window.height)
    return Window(*(side // reduction for side in sides))


def _paste(
    out_SS: NDArray[np.uint8],
    patch_HW: NDArray[np.bool_],
    box_ltrb: tuple[int, int, int, int],
    window: Window,
) -> None:
    """Resizes a part of a mask into its place in the view, one pixel of ground around it."""
    side_px = out_SS.shape[0]
    scale_x, scale_y = side_px / window.width, side_px / window.height
    left, top, right, bottom = box_ltrb
    if right <= left or bottom <= top:
        return
    x0, x1 = _span(left - window.left, right - window.left, scale_x, side_px)
    y0, y1 = _span(top - window.top, bottom - window.top, scale_y, side_px)
    # Centres of the view's pixels in the patch: the same mapping as a resize of the whole window.
    matrix = np.array(
        [
            [1 / scale_x, 0, (x0 + 0.5) / scale_x - 0.5 - (left - window.left)],
            [0, 1 / scale_y, (y0 + 0.5) / scale_y - 0.5 - (top - window.top)],
        ]
    )
    source = np.ascontiguousarray(patch_HW, np.uint8) * np.uint8(255)
    if min(scale_x, scale_y) < 0.5:
        # Shrinking by more than half: average first, or thin things break up.
        small_wh = (
            max(1, round((right - left) * scale_x)),
            max(1, round((bottom - top) * scale_y)),
        )
        source = np.asarray(cv2.resize(source, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[0] *= small_wh[0] / (right - left)
        matrix[1] *= small_wh[1] / (bottom - top)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(source, matrix, (x1 - x0, y1 - y0), flags=how)
    out_SS[y0:y1, x0:x1] = np.asarray(view) > 127


def _span(begin: float, end: float, scale: float, side_px: int) -> tuple[int, int]:
    low = max(0, int(np.floor(begin * scale)) - 1)
    high = min(side_px, int(np.ceil(end * scale)) + 1)
    return min(low, side_px - 1), max(high, min(low, side_px - 1) + 1)

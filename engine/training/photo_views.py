"""Square views of annotated photos: the whole photo, or a window around something in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.annotated import AnnotatedPhoto
from engine.training.augment import flip, recolour
from engine.training.regions import cached_region_levels
from engine.training.scene import Scene, drop_useless_masks, padded

MOST_MASKS_PER_VIEW = 48
REGION_WEIGHT = 0.35
MOST_REGIONS_PER_VIEW = 6
SMALLEST_REGION_SHARE = 0.003


@dataclass(frozen=True)
class Window:
    """A rectangle of the photo, in its pixels; may reach beyond its right and bottom border."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class WindowShape:
    """How windows are cut, as in `ViewParameters`."""

    whole_share: float
    zoom: tuple[float, float]
    smallest_px: int
    photo_share: tuple[float, float] | None = None

    def side_px(self, thing_px: float, photo_px: int, rng: np.random.Generator) -> int:
        """A random side for a window around a thing, at most the photo's longest side."""
        if self.photo_share is None:
            wanted = thing_px * np.exp(rng.uniform(*np.log(self.zoom)))
        else:
            wanted = photo_px * np.exp(rng.uniform(*np.log(self.photo_share)))
        return int(np.clip(wanted, min(self.smallest_px, photo_px), photo_px))


class PhotoScenes:
    """A `SceneSource` of random views of annotated photos.

    Args:
        photos: at least one.
        whole_share: how many views show the whole photo.
        zoom: smallest and largest window side, in sides of the thing it is centred on.
        smallest_window_px: no window is smaller.
        photo_share: smallest and largest window side, in sides of the photo, in place of zoom.
        any_direction: turn pictures by quarters as well.
        exhaustive: everything of interest is annotated.
        region_cache: folder of Felzenszwalb regions that fill up photos with few masks, or None.
        by_masks: photos are drawn by their number of masks to this power; 0: all alike.
    """

    def __init__(
        self,
        photos: list[AnnotatedPhoto],
        *,
        whole_share: float,
        zoom: tuple[float, float],
        smallest_window_px: int,
        any_direction: bool,
        exhaustive: bool,
        region_cache: Path | None = None,
        region_share: float = 0.0,
        photo_share: tuple[float, float] | None = None,
        by_masks: float = 0.5,
        augment: bool = True,
    ) -> None:
        if not photos:
            raise ValueError("no annotated photo to draw views of: check the annotation file")
        self._photos = photos
        weights = np.array([len(photo.segmentations) for photo in photos], float) ** by_masks
        self._shares = weights / weights.sum()
        self._augment = augment
        self._shape = WindowShape(whole_share, zoom, smallest_window_px, photo_share)
        self._any_direction = any_direction
        self._exhaustive = exhaustive
        self._region_cache = region_cache
        self._region_share = region_share

    def draw(self, side_px: int, rng: np.random.Generator) -> Scene:
        """A random view of a random photo."""
        photo = self._photos[int(rng.choice(len(self._photos), p=self._shares))]
        size_hw = (photo.height_px, photo.width_px)
        window = choose_window(photo.boxes_xywh, size_hw, self._shape, rng)
        whole_image = photo.read_image()
        image = cut_image(whole_image, window, side_px)
        inside = annotations_inside(photo, window)
        if len(inside) > MOST_MASKS_PER_VIEW:
            inside = rng.choice(inside, MOST_MASKS_PER_VIEW, replace=False)
        masks = cut_masks(photo.read_masks(inside), window, side_px)
        weights: NDArray[np.float64] = np.ones(len(masks))
        exhaustive = self._exhaustive and len(inside) < MOST_MASKS_PER_VIEW
        if self._region_cache is not None and rng.random() < self._region_share:
            levels = cached_region_levels(photo.path, whole_image, self._region_cache)
            regions = _cut_regions(levels, photo, window, side_px, rng)
            weights = np.concatenate([weights, np.full(len(regions), REGION_WEIGHT)])
            masks = np.concatenate([masks, regions]) if len(masks) else regions
        masks, weights = drop_useless_masks(masks, weights)
        if self._augment:
            image, masks = flip(image, masks, rng, any_direction=self._any_direction)
            image = recolour(image, rng)
        return padded(image, masks, weights, exhaustive=exhaustive, side_px=side_px)


def choose_window(
    boxes_xywh: NDArray[np.float32],
    size_hw: tuple[int, int],
    shape: WindowShape,
    rng: np.random.Generator,
    shares: NDArray[np.float64] | None = None,
) -> Window:
    """The whole photo, or a window around one of its things.

    Args:
        boxes_xywh: (N, 4) of the things.
        size_hw: of the photo.
        shape: how windows are.
        rng: all randomness.
        shares: (N,) how likely each thing is to be the centre; None for equally.
    """
    height_px, width_px = size_hw
    longest = max(size_hw)
    if rng.random() < shape.whole_share:
        return Window(0, 0, longest, longest)
    if shares is None:
        chosen = int(rng.integers(len(boxes_xywh)))
    else:
        chosen = int(rng.choice(len(shares), p=shares))
    left, top, width, height = boxes_xywh[chosen]
    side = shape.side_px(float(max(width, height)), longest, rng)
    squeeze = float(np.exp(rng.uniform(-0.2, 0.2)))
    view_w, view_h = round(side * squeeze), round(side / squeeze)
    jitter = rng.uniform(-0.3, 0.3, 2) * (side - max(width, height))
    centre_x, centre_y = left + width / 2 + jitter[0], top + height / 2 + jitter[1]
    return Window(
        left=int(np.clip(centre_x - view_w / 2, 0, max(0, width_px - view_w))),
        top=int(np.clip(centre_y - view_h / 2, 0, max(0, height_px - view_h))),
        width=view_w,
        height=view_h,
    )


def annotations_inside(photo: AnnotatedPhoto, window: Window) -> NDArray[np.intp]:
    """Annotations of which at least a quarter of the box lies in the window."""
    left, top, width, height = photo.boxes_xywh.T
    overlap_w = np.minimum(left + width, window.left + window.width) - np.maximum(left, window.left)
    overlap_h = np.minimum(top + height, window.top + window.height) - np.maximum(top, window.top)
    overlap = np.clip(overlap_w, 0, None) * np.clip(overlap_h, 0, None)
    return np.flatnonzero(overlap >= 0.25 * width * height)


def cut_image(image_HWC: NDArray[np.uint8], window: Window, side_px: int) -> NDArray[np.uint8]:
    """What the window shows of the photo, scaled so that the whole window is `side_px` wide and
    high: (h, w, 3), smaller than that where the window reaches beyond the photo.
    """  # noqa: D205 - one sentence, two lines
    piece = image_HWC[window.top :, window.left :][: window.height, : window.width]
    return _resize(piece, window, side_px)


def cut_masks(
    masks: list[NDArray[np.uint8]], window: Window, side_px: int, *, cut: bool = False
) -> NDArray[np.uint8]:
    """Masks (N, h, w), cut as `cut_image` cuts the photo (`cut`: they are cut already)."""
    pieces = [
        mask if cut else mask[window.top :, window.left :][: window.height, : window.width]
        for mask in masks
    ]
    if not pieces:
        return np.zeros((0, side_px, side_px), np.uint8)
    shares = [_resize(np.ascontiguousarray(p) * np.uint8(255), window, side_px) for p in pieces]
    return np.array([share > 127 for share in shares], np.uint8)


def _cut_regions(
    levels: NDArray[np.uint16],
    photo: AnnotatedPhoto,
    window: Window,
    side_px: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """A few regions of one random level, cut like the masks."""
    size_wh = (photo.width_px, photo.height_px)
    labels = levels[int(rng.integers(len(levels)))]
    enlarged = cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST)
    seen = enlarged[window.top :, window.left :][: window.height, : window.width]
    names, areas = np.unique(seen, return_counts=True)
    names = names[areas >= SMALLEST_REGION_SHARE * seen.size]
    few = rng.choice(names, min(len(names), MOST_REGIONS_PER_VIEW), replace=False)
    return cut_masks([(seen == n).astype(np.uint8) for n in few], window, side_px, cut=True)


def _resize(piece: NDArray[np.uint8], window: Window, side_px: int) -> NDArray[np.uint8]:
    """Scale so that the whole window would fill `side_px`."""
    height = max(1, round(piece.shape[0] * side_px / window.height))
    width = max(1, round(piece.shape[1] * side_px / window.width))
    # Area averaging where the photo shrinks, or thin things break up; linear where it grows.
    how = cv2.INTER_AREA if height < piece.shape[0] else cv2.INTER_LINEAR
    size_wh = (min(width, side_px), min(height, side_px))
    return np.asarray(cv2.resize(piece, size_wh, interpolation=how), np.uint8)

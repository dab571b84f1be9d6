"""Which mask is a part of which: parents and levels from containment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stages import rle
from stages.records import LEVELS, MaskRecord


def nest(masks: Sequence[MaskRecord], min_containment: float) -> tuple[MaskRecord, ...]:
    """Sets `nested_in` and `level` of every mask of one photo.

    The parent is the smallest larger mask that holds at least `min_containment` of a mask's
    pixels. Nothing around it: a whole; in a whole: a part; deeper: a subpart. Of two masks of
    the same area the one with the smaller id counts as larger, so the result does not depend on
    the order of the masks, which is kept.
    """
    by_size = sorted(masks, key=lambda mask: (-mask.area, mask.mask_id))
    boxes = np.array([mask.bbox for mask in by_size], dtype=np.float64).reshape(-1, 4)
    nested: dict[str, MaskRecord] = {}
    depths: list[int] = []
    for i, mask in enumerate(by_size):
        parent = _parent(i, by_size, boxes, min_containment)
        depths.append(0 if parent is None else depths[parent] + 1)
        level = LEVELS[min(depths[i], len(LEVELS) - 1)]
        parent_id = None if parent is None else by_size[parent].mask_id
        nested[mask.mask_id] = replace(mask, nested_in=parent_id, level=level)
    return tuple(nested[mask.mask_id] for mask in masks)


def _parent(
    i: int, by_size: Sequence[MaskRecord], boxes_xywh: NDArray[np.float64], min_containment: float
) -> int | None:
    """Index of the last, so smallest, larger mask that holds enough of mask i."""
    needed_px = min_containment * by_size[i].area
    # Boxes share at least as many pixels as masks: the cheap test first.
    possible = np.flatnonzero(_shared_px(boxes_xywh[i], boxes_xywh[:i]) >= needed_px)
    for j in possible[::-1].tolist():
        share = rle.pairwise_containment([by_size[i].segmentation], [by_size[j].segmentation])
        if share[0, 0] >= min_containment:
            return int(j)
    return None


def _shared_px(
    box_xywh: NDArray[np.float64], others_xywh: NDArray[np.float64]
) -> NDArray[np.float64]:
    low = np.maximum(box_xywh[:2], others_xywh[:, :2])
    high = np.minimum(box_xywh[:2] + box_xywh[2:], others_xywh[:, :2] + others_xywh[:, 2:])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=1)
    return shared

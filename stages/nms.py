"""Greedy non-maximum suppression of boxes (the paper uses boxes for speed)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def keep_by_box_nms(
    boxes_xyxy: NDArray[np.float64], ranking: NDArray[np.intp], max_iou: float
) -> NDArray[np.intp]:
    """Keeps the first of every group of boxes that overlap too much.

    Args:
        boxes_xyxy: (N, 4) left, top, right, bottom, as coordinates: a box is `right - left` wide.
            Whether right and bottom are a mask's last pixels (as in `segment-anything`, and as
            automatic masks have it) or those after them is the caller's choice.
        ranking: (N,) indices of the boxes, the best first. Ties are the caller's to break, so
            that results do not depend on a sort.
        max_iou: a box whose IoU with a kept one is greater is suppressed.

    Returns:
        Indices of the kept boxes, the best first.
    """
    kept: list[int] = []
    remaining = np.asarray(ranking, dtype=np.intp)
    while len(remaining):
        best, others = remaining[0], remaining[1:]
        kept.append(int(best))
        remaining = others[box_iou(boxes_xyxy[best], boxes_xyxy[others]) <= max_iou]
    return np.array(kept, dtype=np.intp)


def box_iou(box_xyxy: NDArray[np.float64], others_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) IoU of one box with (N, 4) others; 0 where neither has an area."""
    low = np.maximum(box_xyxy[:2], others_xyxy[:, :2])
    high = np.minimum(box_xyxy[2:], others_xyxy[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    united = _area(box_xyxy) + _area(others_xyxy) - shared
    iou = np.zeros(len(shared))
    np.divide(shared, united, out=iou, where=united > 0)
    return iou


def _area(boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).prod(axis=-1)
    return area

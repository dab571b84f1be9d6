"""How good a detector's boxes are: recall of known objects, and average precision at IoU 0.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IOU = 0.5


@dataclass(frozen=True, eq=False)
class Judged:
    """One photo's boxes, the surest first, against its known ones.

    Attributes:
        scores: (N,) of the found boxes.
        is_hit: (N,) whether a box is the first on a known object.
        known: how many objects are known.
    """

    scores: NDArray[np.float32]
    is_hit: NDArray[np.bool_]
    known: int


def judge(
    found_xyxy: NDArray[np.float32], scores: NDArray[np.float32], known_xyxy: NDArray[np.float32]
) -> Judged:
    """Matches boxes with known ones, each known one once, the surest box first."""
    overlap = box_iou(found_xyxy, known_xyxy)
    free = np.ones(len(known_xyxy), bool)
    hits = np.zeros(len(found_xyxy), bool)
    for place, row in enumerate(overlap):
        candidates = np.where(free, row, 0)
        best = int(candidates.argmax()) if len(candidates) else 0
        if len(candidates) and candidates[best] >= IOU:
            free[best], hits[place] = False, True
    return Judged(scores, hits, len(known_xyxy))


def recall(photos: Sequence[Judged], most_boxes: int = 100) -> float:
    """Share of the known objects that one of a photo's surest boxes finds."""
    known = sum(photo.known for photo in photos)
    return sum(int(photo.is_hit[:most_boxes].sum()) for photo in photos) / max(known, 1)


def average_precision(photos: Sequence[Judged]) -> float:
    """Area under precision over recall, all points, precision made monotonic."""
    known = sum(photo.known for photo in photos)
    if not known:
        return 0.0
    scores = np.concatenate([photo.scores for photo in photos])
    hits = np.concatenate([photo.is_hit for photo in photos])
    ordered = hits[np.argsort(-scores, kind="stable")]
    found = np.cumsum(ordered)
    precision = found / np.arange(1, len(ordered) + 1)
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_after[ordered].sum() / known)


def box_iou(
    first_xyxy: NDArray[np.float32], second_xyxy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N, M) IoU of boxes given by their edges."""
    low = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    high = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first_xyxy, second_xyxy)]
    union = areas[0][:, None] + areas[1][None] - inner
    return np.asarray(inner / np.maximum(union, 1e-6), np.float32)

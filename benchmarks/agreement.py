"""Whether two sets of masks are the same: counterparts both ways, and how far scores differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from stages.records import MaskRecord

SAME_IOU: Final = 0.99


@dataclass(frozen=True)
class Agreement:
    """Shares from 0 to 1 of masks with a counterpart at `SAME_IOU`, and the largest differences.

    Attributes:
        of_official: of the published generator's masks, those that ours has too.
        of_ours: the other way round.
        max_score_difference: of predicted IoU and stability, among counterparts.
    """

    of_official: float
    of_ours: float
    max_score_difference: float


def compare(theirs: Sequence[dict[str, Any]], ours: Sequence[MaskRecord]) -> Agreement:
    """A mask's counterpart is the most alike mask of the other set."""
    if not theirs or not ours:
        raise SystemExit(f"{len(theirs)} and {len(ours)} masks: there is nothing to compare")
    iou = np.asarray(
        coco_mask.iou(
            [mask["segmentation"] for mask in theirs],
            [mask.segmentation.as_coco() for mask in ours],
            [0] * len(ours),
        )
    )
    their_scores = np.array([(m["predicted_iou"], m["stability_score"]) for m in theirs])
    our_scores = np.array([(m.predicted_iou, m.stability_score) for m in ours])
    apart = np.abs(their_scores[:, None] - our_scores[None]).max(axis=2)
    return Agreement(
        of_official=float((iou.max(axis=1) >= SAME_IOU).mean()),
        of_ours=float((iou.max(axis=0) >= SAME_IOU).mean()),
        max_score_difference=max(_of_counterparts(iou, apart), _of_counterparts(iou.T, apart.T)),
    )


def _of_counterparts(iou_NM: NDArray[np.float64], apart_NM: NDArray[np.float64]) -> float:
    """Several masks may be alike at `SAME_IOU`: the one with the nearest scores is meant."""
    nearest = np.where(iou_NM >= SAME_IOU, apart_NM, np.inf).min(axis=1)
    return float(nearest[np.isfinite(nearest)].max(initial=0.0))

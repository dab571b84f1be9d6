"""AR@100 and AR@1000: how many of the known objects the automatic stage finds by itself.

COCO's average recall, class-agnostic: the mean over IoU thresholds 0.50, 0.55 ... 0.95 of the
share of true masks that one of a photo's first N masks matches; every proposal matches once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.segmenter import PromptableSegmenter
from stages import rle
from stages.automatic import propose_masks
from stages.parameters import AutomaticParameters

IOU_THRESHOLDS = np.arange(0.5, 1.0, 0.05)
BUDGETS = (100, 1000)


@dataclass(frozen=True)
class Recall:
    """Average recall by budget of masks a photo, and how many masks there were."""

    average_recall: dict[int, float]
    masks_per_photo: float


class RecallCounter:
    """Adds up matches photo by photo."""

    def __init__(self) -> None:
        self._hits = {budget: np.zeros(len(IOU_THRESHOLDS)) for budget in BUDGETS}
        self._truths = 0
        self._proposals = 0
        self._photos = 0

    def add(self, iou_PT: NDArray[np.float64]) -> None:
        """One photo: IoU of its proposals, best first, with its true masks."""
        self._photos += 1
        self._proposals += iou_PT.shape[0]
        self._truths += iou_PT.shape[1]
        for budget in BUDGETS:
            for index, threshold in enumerate(IOU_THRESHOLDS):
                self._hits[budget][index] += matches(iou_PT[:budget], float(threshold))

    def result(self) -> Recall:
        """Average recall so far."""
        truths = max(1, self._truths)
        return Recall(
            {budget: float((hits / truths).mean()) for budget, hits in self._hits.items()},
            self._proposals / max(1, self._photos),
        )


def matches(iou_PT: NDArray[np.float64], threshold: float) -> int:
    """How many true masks get a proposal of their own, the highest IoU first."""
    candidates = np.argwhere(iou_PT >= threshold)
    order = np.argsort(-iou_PT[iou_PT >= threshold], kind="stable")
    used_proposals: set[int] = set()
    used_truths: set[int] = set()
    for proposal, truth in candidates[order].tolist():
        if proposal not in used_proposals and truth not in used_truths:
            used_proposals.add(proposal)
            used_truths.add(truth)
    return len(used_truths)


def proposal_iou(
    segmenter: PromptableSegmenter,
    image_HWC: NDArray[np.uint8],
    truths: Sequence[NDArray[np.bool_]],
    parameters: AutomaticParameters,
) -> NDArray[np.float64]:
    """IoU (proposals, truths) of a photo's automatic masks, the best predicted first."""
    found = propose_masks(segmenter, image_HWC, image_id="evaluation", parameters=parameters)
    encoded = [rle.encode(truth) for truth in truths]
    if not found.masks or not encoded:
        return np.zeros((len(found.masks), len(encoded)))
    return rle.pairwise_iou([mask.segmentation for mask in found.masks], encoded)

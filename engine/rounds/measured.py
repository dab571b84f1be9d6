"""What a checkpoint did on the held-out photos, photo by photo: the matter of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from engine.console import progress
from engine.evaluation.clicking import ClickedMask, click_masks
from engine.evaluation.recall import BUDGETS, IOU_THRESHOLDS, matches, proposal_iou
from engine.evaluation.truth import TruthPhoto
from model.segmenter import PromptableSegmenter
from stages.parameters import AutomaticParameters
from stages.photos import decode_photo

TARGETS: Final = (85, 90)
# So few that masks which never reach a target still tell two models apart.
CLICKS_OF_MEAN_IOU: Final = 5
FOUND_IOU: Final = 0.5
UNTOUCHED_IOU: Final = 0.9


class MeasuredPhoto(BaseModel):
    """One photo.

    Attributes:
        path: its file's name.
        clicks: for each clicked mask the clicks to an IoU in percent, by that IoU; the most that
            were allowed where it was not reached.
        iou_1: for each clicked mask the IoU after one click.
        mean_iou: for each clicked mask the mean of its IoU after 1, 2, ... 5 clicks; none in
            evaluations from before it was measured.
        truths: known masks of the photo.
        proposals: automatic masks.
        recall: average recall by budget of masks.
        found: known masks that an automatic mask matches at IoU 0.5.
        untouched: known masks that one matches so well (0.9) that nobody had to touch it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    clicks: dict[str, list[float]]
    iou_1: list[float]
    mean_iou: list[float] = []
    truths: int
    proposals: int
    recall: dict[str, float]
    found: int
    untouched: int


class Measured(BaseModel):
    """A checkpoint on all held-out photos."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str
    photos: list[MeasuredPhoto]


def measure_checkpoint(
    segmenter: PromptableSegmenter,
    clicked: Sequence[TruthPhoto],
    whole: Sequence[TruthPhoto],
    *,
    automatic: AutomaticParameters,
    most_clicks: int,
) -> Measured:
    """Clicks on the chosen masks of every photo, and compares automatic masks to all of them.

    Args:
        segmenter: the model.
        clicked: photos with the masks to click on.
        whole: the same photos with all their masks.
        automatic: how masks are proposed.
        most_clicks: on one mask.
    """
    photos = []
    with progress("evaluating", "photos") as meter:
        for place, (chosen, full) in enumerate(zip(clicked, whole, strict=True)):
            photos.append(_measure(segmenter, chosen, full, automatic, most_clicks))
            meter(place + 1, len(clicked))
    return Measured(model_id=segmenter.model_id, photos=photos)


def _measure(
    segmenter: PromptableSegmenter,
    chosen: TruthPhoto,
    full: TruthPhoto,
    automatic: AutomaticParameters,
    most_clicks: int,
) -> MeasuredPhoto:
    image = decode_photo(chosen.path.read_bytes()).pixels_HWC
    done = click_masks(
        segmenter,
        image,
        [mask.mask() for mask in chosen.masks],
        [mask.ignored_band() for mask in chosen.masks],
        clicks=most_clicks,
        stop_at_iou=max(TARGETS) / 100,
        as_annotated=True,
    )
    iou_PT = proposal_iou(segmenter, image, [mask.mask() for mask in full.masks], automatic)
    return MeasuredPhoto(
        path=chosen.path.name,
        clicks={str(t): [clicks_to(mask, t, most_clicks) for mask in done] for t in TARGETS},
        iou_1=[round(mask.iou[0], 4) for mask in done],
        mean_iou=[round(mean_iou(mask), 4) for mask in done],
        truths=len(full.masks),
        proposals=iou_PT.shape[0],
        recall={str(budget): _average_recall(iou_PT[:budget]) for budget in BUDGETS},
        found=matches(iou_PT, FOUND_IOU),
        untouched=matches(iou_PT, UNTOUCHED_IOU),
    )


def clicks_to(mask: ClickedMask, percent: int, most: int) -> float:
    """Clicks until the IoU was reached; `most` if it never was."""
    reached = (n for n, iou in enumerate(mask.iou, start=1) if iou >= percent / 100)
    return float(next(reached, most))


def mean_iou(mask: ClickedMask) -> float:
    """Mean IoU over the first five clicks; the last one that was needed stands for those after."""
    return float(np.mean([mask.iou_after(n) for n in range(1, CLICKS_OF_MEAN_IOU + 1)]))


def _average_recall(iou_PT: NDArray[np.float64]) -> float:
    hits = [matches(iou_PT, float(threshold)) for threshold in IOU_THRESHOLDS]
    return round(float(np.mean(hits)) / max(1, iou_PT.shape[1]), 5)

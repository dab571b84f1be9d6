"""Thresholds of both scores that give a wanted precision, and keep the most masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from engine.quality.pairs import Pair
from model.checkpoint_card import Thresholds
from model.errors import ConfigurationError

STEP = 0.01
LEAST_KEPT = 20
"""A precision over fewer masks says nothing."""


class CalibrationParameters(BaseModel):
    """What thresholds have to give, and which masks they are chosen on."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    precision: float = Field(
        default=0.8, gt=0, le=1, description="Share of kept masks that have to be right."
    )
    right_iou: float = Field(
        default=0.75, gt=0, le=1, description="A mask is right from this IoU with a known one on."
    )
    photos: int = Field(
        default=20, gt=0, description="Held-out photos; those that are not clicked on come first."
    )
    preset: str = Field(default="fast", description="How masks are proposed.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the automatic stage that differ from it."
    )
    lowest_predicted_iou: float = Field(
        default=0.3, ge=0, le=1, description="No threshold below this is tried."
    )
    lowest_stability: float = Field(default=0.3, ge=0, le=1, description="The same of stability.")

    def lowest(self) -> dict[str, float]:
        """The thresholds that masks are proposed with."""
        return {
            "min_predicted_iou": self.lowest_predicted_iou,
            "min_stability": self.lowest_stability,
        }


@dataclass(frozen=True)
class Calibrated:
    """The chosen thresholds and what they give on the masks they were chosen on.

    Attributes:
        thresholds: of predicted IoU and stability.
        precision: share of kept masks that are right.
        kept: masks kept.
        right_kept: share of the right masks that are kept.
        masks: all of them.
        precision_before: of all of them.
    """

    thresholds: Thresholds
    precision: float
    kept: int
    right_kept: float
    masks: int
    precision_before: float


def calibrate(pairs: Sequence[Pair], *, precision: float, right_iou: float) -> Calibrated:
    """Of all thresholds with at least the wanted precision, those that keep the most right masks.

    Args:
        pairs: masks with scores, proposed with low thresholds, against known masks.
        precision: share of kept masks that have to be right.
        right_iou: a mask is right from this IoU on.

    Raises:
        ConfigurationError: if there are too few masks, or no thresholds reach the precision.
    """
    scored = [p for p in pairs if p.predicted_iou is not None and p.stability is not None]
    if len(scored) < LEAST_KEPT:
        raise ConfigurationError(
            f"{len(scored)} masks with scores are too few to calibrate on, expected at least "
            f"{LEAST_KEPT}: propose on more photos, with lower thresholds"
        )
    score_N2 = np.array([(p.predicted_iou, p.stability) for p in scored], np.float64)
    right_N = np.array([p.iou >= right_iou for p in scored])
    best: tuple[int, float, float, float, int] | None = None
    reached = 0.0
    for iou_limit in _limits(score_N2[:, 0]):
        above = score_N2[:, 0] >= iou_limit
        for stability_limit in _limits(score_N2[:, 1]):
            kept = above & (score_N2[:, 1] >= stability_limit)
            count = int(kept.sum())
            if count < LEAST_KEPT:
                break
            found = int(right_N[kept].sum())
            reached = max(reached, found / count)
            if found / count >= precision and (best is None or found > best[0]):
                best = found, found / count, iou_limit, stability_limit, count
    if best is None:
        raise ConfigurationError(
            f"no thresholds give a precision of {precision:.0%} at IoU {right_iou:g}; the best is "
            f"{reached:.1%}. Ask for less, or train the model further."
        )
    found, share, iou_limit, stability_limit, count = best
    return Calibrated(
        Thresholds(min(1.0, round(iou_limit, 4)), min(1.0, round(stability_limit, 4))),
        share,
        count,
        found / max(1, int(right_N.sum())),
        len(scored),
        float(right_N.mean()),
    )


def _limits(scores: NDArray[np.float64]) -> list[float]:
    """Hundredths between the lowest and the highest score."""
    low, high = max(0.0, float(scores.min())), min(1.0, float(scores.max()))
    steps = np.arange(np.floor(low / STEP), np.floor(high / STEP) + 1)
    return [float(step) for step in steps * STEP]

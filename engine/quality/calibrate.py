"""Thresholds of both scores that give a wanted precision, and keep the most masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.quality.pairs import Pair
from model.checkpoint_card import Thresholds
from model.errors import ConfigurationError

STEP = 0.01
LEAST_KEPT = 20
"""A precision over fewer masks says nothing."""


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

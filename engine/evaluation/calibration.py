"""Whether scores of answers can be believed: predicted IoU and stability against true IoU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers of which about the same was said; `said` and `true_iou` are their means."""

    said: float
    true_iou: float
    answers: int


@dataclass(frozen=True)
class Calibration:
    """How a score that a model gives its answers goes with their true IoU.

    Attributes:
        correlation: Pearson, over the answers ranked first after every click.
        correlation_first: the same after the first click alone.
        bins: all these answers by score, tenths of 0..1 that were used.
    """

    correlation: float
    correlation_first: float
    bins: tuple[Bin, ...]


def calibration_of(said: Sequence[Sequence[float]], true: Sequence[Sequence[float]]) -> Calibration:
    """Compares scores with true IoU, mask by mask and click by click."""
    all_said = [score for mask in said for score in mask]
    all_true = [iou for mask in true for iou in mask]
    return Calibration(
        correlation=correlation(all_said, all_true),
        correlation_first=correlation([mask[0] for mask in said], [mask[0] for mask in true]),
        bins=reliability(np.array(all_said), np.array(all_true)),
    )


def correlation(said: Sequence[float], true: Sequence[float]) -> float:
    """Pearson's correlation; 0 where one side never changes."""
    if len(said) < 2 or np.std(said) == 0 or np.std(true) == 0:
        return 0.0
    return float(np.corrcoef(said, true)[0, 1])


def reliability(said: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Answers in bins by their score; bins without answers are left out."""
    index = np.clip((said * BINS).astype(int), 0, BINS - 1)
    return tuple(
        Bin(float(said[index == b].mean()), float(true[index == b].mean()), int(sum(index == b)))
        for b in range(BINS)
        if (index == b).any()
    )

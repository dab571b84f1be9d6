"""From clicked masks to the figures of the table: means, intervals, clicks needed, calibration.

Averages are over masks; intervals come from drawing photos again (bootstrap), because masks of
one photo are not independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.calibration import Calibration, calibration_of
from engine.evaluation.clicking import MOST_CLICKS, ClickedMask

NOC_TARGETS = (80, 85, 90)
"""Percent IoU that the number of clicks is counted up to."""

MORE_CLICKS = 4
"""After the first, for the share of its error that they close."""

SMALL_PX = 32**2
LARGE_PX = 96**2
"""COCO's bounds between small, medium and large masks."""

BOOTSTRAP_ROUNDS = 1000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Clicked:
    """All clicked masks of an evaluation; `photo` numbers the photo that each stands in."""

    masks: tuple[ClickedMask, ...]
    photo: NDArray[np.int64]


@dataclass(frozen=True)
class Measures:
    """The figures of one model on one truth.

    Attributes:
        n_masks: masks evaluated.
        n_photos: photos they stand in.
        miou: by number of clicks, of the answer ranked first.
        oracle_miou: by number of clicks, of the best answer.
        noc: mean clicks needed by IoU in percent, `MOST_CLICKS` where it was not reached; empty
            where fewer clicks were allowed.
        miou_by_size: first click, by size class.
        predicted_iou: how it goes with true IoU, over answers ranked first.
        stability: the same of the stability score.
        closed_share: how much of what the first click leaves open four more close.
    """

    n_masks: int
    n_photos: int
    miou: dict[int, Estimate]
    oracle_miou: dict[int, Estimate]
    noc: dict[int, Estimate]
    miou_by_size: dict[str, Estimate]
    predicted_iou: Calibration
    stability: Calibration
    closed_share: float


def measure(clicked: Clicked, clicks: Sequence[int], *, most_clicks: int, seed: int) -> Measures:
    """Every figure of an evaluation.

    Args:
        clicked: the masks.
        clicks: numbers of clicks to report.
        most_clicks: clicks that were allowed.
        seed: of the bootstrap.
    """
    masks = clicked.masks

    def mean(values: Iterable[float]) -> Estimate:
        return bootstrap(np.array(list(values)), clicked.photo, np.random.default_rng(seed))

    first = np.array([mask.iou[0] for mask in masks])
    later = np.array([mask.iou_after(1 + MORE_CLICKS) for mask in masks])
    return Measures(
        n_masks=len(masks),
        n_photos=len(np.unique(clicked.photo)),
        miou={k: mean(m.iou_after(k) for m in masks) for k in clicks},
        oracle_miou={k: mean(m.iou_after(k, oracle=True) for m in masks) for k in clicks},
        noc={t: mean(clicks_needed(m, t) for m in masks) for t in NOC_TARGETS}
        if most_clicks >= MOST_CLICKS
        else {},
        miou_by_size=_by_size(clicked, seed),
        predicted_iou=calibration_of([m.predicted_iou for m in masks], [m.iou for m in masks]),
        stability=calibration_of([m.stability for m in masks], [m.iou for m in masks]),
        closed_share=float((later.mean() - first.mean()) / max(1e-9, 1 - first.mean())),
    )


def clicks_needed(mask: ClickedMask, target_percent: int) -> float:
    """Clicks until the IoU was reached; `MOST_CLICKS` if it never was."""
    for number, iou in enumerate(mask.iou, start=1):
        if iou >= target_percent / 100:
            return float(number)
    return float(MOST_CLICKS)


def size_class(area_px: int) -> str:
    """COCO's size class of a mask: small, medium or large."""
    if area_px < SMALL_PX:
        return "small"
    return "medium" if area_px < LARGE_PX else "large"


def bootstrap(
    values: NDArray[np.float64], photo: NDArray[np.int64], rng: np.random.Generator
) -> Estimate:
    """Mean over masks, and its 95 % interval over photos drawn with replacement."""
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    names, index = np.unique(photo, return_inverse=True)
    sums = np.bincount(index, weights=values, minlength=len(names))
    counts = np.bincount(index, minlength=len(names))
    drawn = rng.integers(len(names), size=(BOOTSTRAP_ROUNDS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def _by_size(clicked: Clicked, seed: int) -> dict[str, Estimate]:
    result = {}
    for name in ("small", "medium", "large"):
        chosen = np.array([size_class(mask.area_px) == name for mask in clicked.masks], bool)
        if chosen.any():
            values = np.array([m.iou[0] for m in clicked.masks])[chosen]
            result[name] = bootstrap(values, clicked.photo[chosen], np.random.default_rng(seed))
    return result

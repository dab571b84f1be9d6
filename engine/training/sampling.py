"""Which masks of a data set are asked for how often: people's before a machine's, old and new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.parameters import SamplingParameters


@dataclass(frozen=True)
class MaskFacts:
    """What decides on a mask's weight.

    Attributes:
        by_people: made or confirmed by a person.
        clicks: it took.
        edited_px: pixels changed with a brush.
    """

    by_people: bool
    clicks: int = 0
    edited_px: int = 0


def mask_weights(
    photos: Sequence[Sequence[MaskFacts]], parameters: SamplingParameters
) -> list[NDArray[np.float64]]:
    """How readily each mask is drawn, photo by photo.

    A person's mask weighs `manual_weight` machine's masks (paper, data ablation: 10). With
    `most_corrected`, people's masks that took little work weigh nothing (SAM 2: training on the
    most edited masks beats as many random ones).
    """
    limit = _least_work(photos, parameters.most_corrected)
    return [
        np.array([_weight(mask, parameters.manual_weight, limit) for mask in photo], np.float64)
        for photo in photos
    ]


def photo_factors(
    totals: Sequence[float], rounds: Sequence[int], parameters: SamplingParameters
) -> NDArray[np.float64]:
    """Factors on photos' weights that give those of earlier rounds their share.

    Args:
        totals: each photo's weight.
        rounds: each photo's round; the highest one is the new one.
        parameters: `replay_share`, or nothing to change.
    """
    factors = np.ones(len(totals))
    if parameters.replay_share is None or not len(totals):
        return factors
    weights, number = np.asarray(totals, np.float64), np.asarray(rounds)
    is_new = number == number.max()
    new, old = weights[is_new].sum(), weights[~is_new].sum()
    if not new or not old:
        return factors  # nothing to share between
    factors[is_new] = (1 - parameters.replay_share) / new
    factors[~is_new] = parameters.replay_share / old
    return np.asarray(factors * (new + old), np.float64)


def _work(mask: MaskFacts) -> tuple[int, int]:
    """A brush is used where clicks did not help, so it counts first."""
    return mask.edited_px, mask.clicks


def _least_work(
    photos: Sequence[Sequence[MaskFacts]], share: float | None
) -> tuple[int, int] | None:
    if share is None:
        return None
    work = sorted((_work(m) for photo in photos for m in photo if m.by_people), reverse=True)
    return work[max(0, round(share * len(work)) - 1)] if work else None


def _weight(mask: MaskFacts, manual_weight: float, limit: tuple[int, int] | None) -> float:
    if not mask.by_people:
        return 1.0
    return manual_weight if limit is None or _work(mask) >= limit else 0.0

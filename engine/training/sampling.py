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
    chosen = _most_corrected(photos, parameters.most_corrected)
    return [
        np.array([_weight(mask, parameters.manual_weight, chosen) for mask in photo], np.float64)
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


@dataclass(frozen=True)
class _Chosen:
    """Which of people's masks count.

    Attributes:
        least: more work than this counts in full, less not at all.
        tied: the part that masks of just this work count: they share what is left of the share.
    """

    least: tuple[int, int] = (-1, -1)
    tied: float = 1.0

    def part(self, mask: MaskFacts) -> float:
        work = _work(mask)
        return self.tied if work == self.least else float(work > self.least)


def _most_corrected(photos: Sequence[Sequence[MaskFacts]], share: float | None) -> _Chosen:
    work = sorted((_work(m) for photo in photos for m in photo if m.by_people), reverse=True)
    if share is None or not work:
        return _Chosen()
    wanted = max(1, round(share * len(work)))
    least = work[wanted - 1]
    more = sum(one > least for one in work)
    return _Chosen(least, (wanted - more) / work.count(least))


def _weight(mask: MaskFacts, manual_weight: float, chosen: _Chosen) -> float:
    return manual_weight * chosen.part(mask) if mask.by_people else 1.0

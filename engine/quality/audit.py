"""How good a data set's masks are: shares of pairs above 90 % and 75 % IoU, with intervals.

The paper (section 5) has professionals correct the masks of 500 photos: 94 % of the pairs were
above 90 % IoU, 97 % above 75 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from engine.console import columns
from engine.evaluation.measures import Estimate, bootstrap, size_class
from engine.quality.pairs import Pair
from model.errors import ConfigurationError, StopError

HIGH: Final = 0.9
LOW: Final = 0.75
SCORE_EDGES: Final = (0.0, 0.8, 0.88, 0.95)


@dataclass(frozen=True)
class Audited:
    """Shares of one group of pairs.

    Attributes:
        pairs, photos: how many.
        above_90, above_75: shares with their 95 % intervals over photos.
    """

    pairs: int
    photos: int
    above_90: Estimate
    above_75: Estimate


@dataclass(frozen=True)
class Audit:
    """All pairs, and by size, source and score."""

    all: Audited
    by: Mapping[str, Mapping[str, Audited]]


def audit(pairs: Sequence[Pair], *, seed: int = 0) -> Audit:
    """Shares of pairs that are alike enough.

    Raises:
        ConfigurationError: if there is no pair.
    """
    if not pairs:
        raise ConfigurationError(
            "no mask could be compared: none of the photos was corrected, or is in the truth"
        )
    groupings: dict[str, Callable[[Pair], str]] = {
        "size": lambda pair: size_class(pair.area_px),
        "source": lambda pair: pair.source,
        "score": _score_class,
    }
    by = {}
    for name, group_of in groupings.items():
        groups: dict[str, list[Pair]] = {}
        for pair in pairs:
            groups.setdefault(group_of(pair), []).append(pair)
        by[name] = {group: _audited(groups[group], seed) for group in sorted(groups)}
    return Audit(_audited(pairs, seed), by)


def audit_lines(result: Audit) -> list[str]:
    """A table."""
    rows: list[tuple[str, ...]] = [
        ("", "masks", "photos", "over 90 % IoU", "95 %", "over 75 % IoU", "95 %")
    ]
    rows.append(_row("all", result.all))
    for name, groups in result.by.items():
        rows += [_row(f"{name}: {group}", audited) for group, audited in groups.items()]
    return columns(rows, indent=0)


def audit_json(result: Audit) -> dict[str, Any]:
    """The same for programs."""
    return asdict(result)


def block(result: Audit, least: float) -> None:
    """Refuses a release whose masks are not good enough.

    The lower end of the interval counts: a small sample proves little. Drawing few photos again,
    or ones that are all alike, shows no spread; Wilson's interval knows that there is some.

    Raises:
        StopError: if the share of pairs above 90 % IoU may be below `least`.
    """
    share = result.all.above_90
    low = _lower_end(result.all)
    if low < least:
        raise StopError(
            f"audit failed: {share.value:.1%} of the masks are above 90 % IoU (95 % interval "
            f"{low:.1%} to {share.high:.1%}), and at least {least:.1%} are asked for. Audit "
            "more masks if the interval is wide, or mend the data set."
        )


def _lower_end(audited: Audited) -> float:
    """Of the 95 % interval: the lower one of what drawing again says and of Wilson's.

    Masks of one photo are not independent. Where drawing photos again shows no spread at all, the
    photos are the evidence, else the masks.
    """
    share = audited.above_90
    tries = audited.pairs if share.low < share.high else audited.photos
    z = NormalDist().inv_cdf(0.975)
    centre = share.value + z**2 / (2 * tries)
    spread = z * math.sqrt((share.value * (1 - share.value) + z**2 / (4 * tries)) / tries)
    return min(share.low, max(0.0, (centre - spread) / (1 + z**2 / tries)))


def _audited(pairs: Sequence[Pair], seed: int) -> Audited:
    ious = np.array([pair.iou for pair in pairs])
    _, photo = np.unique([pair.image_id for pair in pairs], return_inverse=True)
    photo = np.asarray(photo, np.int64)

    def share(limit: float) -> Estimate:
        return bootstrap((ious >= limit).astype(float), photo, np.random.default_rng(seed))

    return Audited(len(pairs), len(set(photo.tolist())), share(HIGH), share(LOW))


def _score_class(pair: Pair) -> str:
    if pair.predicted_iou is None:
        return "none (drawn by hand)"
    low = max(edge for edge in SCORE_EDGES if pair.predicted_iou >= edge or edge == 0)
    return f"from {low:.2f}"


def _row(name: str, audited: Audited) -> tuple[str, ...]:
    return (
        name,
        f"{audited.pairs:,}",
        f"{audited.photos:,}",
        f"{audited.above_90.value:.1%}",
        f"{audited.above_90.low:.1%}-{audited.above_90.high:.1%}",
        f"{audited.above_75.value:.1%}",
        f"{audited.above_75.low:.1%}-{audited.above_75.high:.1%}",
    )

"""Whether a candidate takes the current model's place: a paired bootstrap over held-out photos.

Both models clicked on the same masks and proposed on the same photos. Only a gain that chance
does not explain promotes, and only if nothing else got worse by more than is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from engine.rounds.measured import Measured, MeasuredPhoto
from model.errors import ConfigurationError

BOOTSTRAP_ROUNDS: Final = 2000

MeasureName = Literal[
    "clicks_85", "clicks_90", "iou_1", "mean_iou", "ar_100", "ar_1000", "count_error"
]


class GateParameters(BaseModel):
    """What a candidate has to reach."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    measure: MeasureName = Field(
        default="clicks_90",
        description="What has to get better: clicks_85, clicks_90 (to so many % IoU), iou_1 (after "
        "one click), mean_iou (over clicks 1 to 5), ar_100, ar_1000, count_error.",
    )
    margin: float = Field(
        default=0.02, ge=0, description="By at least this share of the current model's value."
    )
    tolerance: float = Field(
        default=0.1,
        ge=0,
        description="No other measure may get worse by more than this share of the current value.",
    )
    least_photos: int = Field(
        default=5, ge=1, description="Of held-out photos; with fewer, nothing is begun."
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Of the interval that has to exclude no gain."
    )


@dataclass(frozen=True)
class Sum:
    """One photo's part of a measure: numerator and denominator."""

    value: float
    weight: float


@dataclass(frozen=True)
class Measure:
    """A figure that is a ratio of sums over photos.

    Attributes:
        of: a photo's part.
        lower_is_better: as with clicks.
        unit: what its value counts, in words.
    """

    of: Callable[[MeasuredPhoto], Sum]
    lower_is_better: bool
    unit: str


def _clicks(percent: int) -> Callable[[MeasuredPhoto], Sum]:
    return lambda photo: Sum(sum(photo.clicks[str(percent)]), len(photo.iou_1))


def _recall(budget: int) -> Callable[[MeasuredPhoto], Sum]:
    return lambda photo: Sum(photo.recall[str(budget)] * photo.truths, photo.truths)


MEASURES: Final[Mapping[str, Measure]] = {
    "clicks_85": Measure(_clicks(85), True, "clicks to 85 % IoU"),
    "clicks_90": Measure(_clicks(90), True, "clicks to 90 % IoU"),
    "iou_1": Measure(lambda p: Sum(sum(p.iou_1), len(p.iou_1)), False, "IoU after one click"),
    "mean_iou": Measure(
        lambda p: Sum(sum(p.mean_iou), len(p.mean_iou)), False, "mean IoU over clicks 1 to 5"
    ),
    "ar_100": Measure(_recall(100), False, "AR@100 of automatic masks"),
    "ar_1000": Measure(_recall(1000), False, "AR@1000 of automatic masks"),
    "count_error": Measure(
        lambda p: Sum(abs(p.proposals - p.truths), p.truths),
        True,
        "automatic masks too many or too few, for one true mask",
    ),
}


@dataclass(frozen=True)
class Compared:
    """A measure of both models.

    Attributes:
        name: a key of `MEASURES`.
        current, candidate: the two values.
        gain: how much better the candidate is, as a share of the current value; below 0 worse.
        low, high: interval of the gain.
    """

    name: str
    current: float
    candidate: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """The gate's answer, and the sentence that the ledger keeps."""

    promoted: bool
    reason: str
    compared: tuple[Compared, ...]


def value_of(name: str, measured: Measured) -> float:
    """A measure over all photos."""
    numbers = _sums(MEASURES[name], measured)
    return float(_ratio(numbers.sum(axis=0)))


def has(name: str, measured: Measured) -> bool:
    """Whether a measure was taken; an earlier version may not have known it."""
    return bool(_sums(MEASURES[name], measured)[:, 1].any())


def judge(
    current: Measured, candidate: Measured, parameters: GateParameters, *, seed: int = 0
) -> Verdict:
    """Promote or keep, with the reason.

    Raises:
        ConfigurationError: if the two were not measured on the same masks, or one of them not in
            the measure that decides.
    """
    if [(p.path, len(p.iou_1), p.truths) for p in current.photos] != [
        (p.path, len(p.iou_1), p.truths) for p in candidate.photos
    ]:
        raise ConfigurationError(
            "the two evaluations are not of the same masks, so they cannot be compared: evaluate "
            "both with the same held_out settings"
        )
    names = [name for name in MEASURES if has(name, current) and has(name, candidate)]
    if parameters.measure not in names:
        raise ConfigurationError(
            f"gate.measure is {parameters.measure}, and an evaluation that an earlier version made "
            "does not have it: give another measure, or have the model in use evaluated again "
            "(mask-engine rollback ROUND CONFIG --from evaluate)"
        )
    compared = tuple(
        compare(name, current, candidate, confidence=parameters.confidence, seed=seed)
        for name in names
    )
    reason = _objection(compared, parameters)
    wanted = next(entry for entry in compared if entry.name == parameters.measure)
    if reason is None:
        return Verdict(True, f"{_told(wanted)}; nothing else got worse than allowed", compared)
    return Verdict(False, reason, compared)


def compare(
    name: str, current: Measured, candidate: Measured, *, confidence: float, seed: int
) -> Compared:
    """One measure of both, with the interval of the gain over photos drawn again."""
    measure = MEASURES[name]
    ours_P2, theirs_P2 = _sums(measure, candidate), _sums(measure, current)
    photos = len(ours_P2)
    drawn = np.random.default_rng(seed).integers(photos, size=(BOOTSTRAP_ROUNDS, photos))
    gains = _gain(theirs_P2[drawn].sum(axis=1), ours_P2[drawn].sum(axis=1), measure)
    low, high = np.quantile(gains, [(1 - confidence) / 2, (1 + confidence) / 2])
    ours, theirs = ours_P2.sum(axis=0), theirs_P2.sum(axis=0)
    return Compared(
        name,
        float(_ratio(theirs)),
        float(_ratio(ours)),
        float(_gain(theirs, ours, measure)),
        float(low),
        float(high),
    )


def _objection(compared: tuple[Compared, ...], parameters: GateParameters) -> str | None:
    wanted = next(entry for entry in compared if entry.name == parameters.measure)
    if wanted.gain < parameters.margin:
        return f"{_told(wanted)}: less than the margin of {parameters.margin:.1%}"
    if wanted.low <= 0:
        return f"{_told(wanted)}: the interval does not exclude chance"
    for entry in compared:
        if -entry.gain > parameters.tolerance:
            return f"{_told(wanted)}, but {_told(entry)}: over the tolerance of " + (
                f"{parameters.tolerance:.1%}"
            )
    return None


def _told(entry: Compared) -> str:
    unit = MEASURES[entry.name].unit
    word = "better" if entry.gain >= 0 else "worse"
    return (
        f"{unit} {entry.current:.3f} -> {entry.candidate:.3f}, {abs(entry.gain):.1%} {word} "
        f"({entry.low:+.1%} to {entry.high:+.1%})"
    )


def _sums(measure: Measure, measured: Measured) -> NDArray[np.float64]:
    parts = [measure.of(photo) for photo in measured.photos]
    return np.array([(part.value, part.weight) for part in parts], np.float64).reshape(-1, 2)


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))


def _gain(
    theirs: NDArray[np.float64], ours: NDArray[np.float64], measure: Measure
) -> NDArray[np.float64]:
    """By how much ours is better, as a share of theirs."""
    before, after = _ratio(theirs), _ratio(ours)
    # Of almost nothing, a share says nothing: below a tenth it is a share of a tenth.
    change = (after - before) / np.maximum(np.abs(before), 0.1)
    gain: NDArray[np.float64] = -change if measure.lower_is_better else change
    return gain

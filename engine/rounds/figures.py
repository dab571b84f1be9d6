"""What rounds brought, in numbers with intervals: from evaluations and from people's runs.

Intervals (95 %) come from drawing photos again; where two models worked on the same photos, both
sums are of the same draw. Works on an engine that stands anywhere: what is not there is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.measures import Estimate
from engine.rounds.entries import Entry
from engine.rounds.gate import BOOTSTRAP_ROUNDS, MEASURES, has
from engine.rounds.ledger import Ledger
from engine.rounds.lessons import MACHINE_ALONE, Lesson, lessons_of
from engine.rounds.measured import Measured
from pipelines.removals import is_removed
from pipelines.shards import read_rows
from stages.joining import PEOPLES_ORIGINS

SHOWN: Final = (
    "clicks_85",
    "clicks_90",
    "iou_1",
    "mean_iou",
    "found",
    "untouched",
    "ar_100",
    "ar_1000",
)
SAME_CLICKS: Final = "without retraining"

# (P, 2): for each photo a numerator and a denominator.
Parts = NDArray[np.float64]


@dataclass(frozen=True)
class ModelFigures:
    """A checkpoint on the held-out photos.

    Attributes:
        name: the round's number, or the control's name.
        model_id: which one.
        is_used: whether it was promoted; False for controls.
        values: by measure, those that were taken.
    """

    name: str
    model_id: str
    is_used: bool
    values: Mapping[str, Estimate]


@dataclass(frozen=True)
class EffortFigures:
    """What people did in one round, or in the control.

    Attributes:
        name: the round's number, or the control's name.
        photos, masks: that they did.
        clicks: on one mask, those counted that nobody had to touch.
        untouched: share of masks that were right as they were shown.
    """

    name: str
    photos: int
    masks: int
    clicks: Estimate
    untouched: Estimate


@dataclass(frozen=True)
class Fall:
    """How many times fewer clicks one takes than another.

    Attributes:
        what: in words.
        times: with the interval; 1 is no effect.
    """

    what: str
    times: Estimate


@dataclass(frozen=True)
class Figures:
    """Everything that a report shows.

    Attributes:
        models: in the order they were measured.
        lessons: what each learned from, the control last.
        efforts: round by round, the control last.
        falls: of clicks.
        seconds: of each finished step, `round step`, in order.
    """

    models: tuple[ModelFigures, ...]
    lessons: tuple[Lesson, ...]
    efforts: tuple[EffortFigures, ...]
    falls: tuple[Fall, ...]
    seconds: tuple[tuple[str, float], ...]


def figures_of(ledger: Ledger) -> Figures:
    """Reads what stands in a ledger."""
    measured = _measured(ledger)
    used = {e.round for e in ledger.standing if e.step == "promote" and "checkpoint" in e.outputs}
    efforts = _efforts(ledger)
    return Figures(
        models=tuple(
            ModelFigures(name, one.model_id, name.isdigit() and int(name) in used, _values(one))
            for name, one in measured.items()
        ),
        lessons=lessons_of(ledger),
        efforts=tuple(_effort(name, parts) for name, parts in efforts.items()),
        falls=(*_model_falls(measured, used), *_effort_falls(ledger, efforts)),
        seconds=tuple((f"{e.round} {e.step}", e.seconds) for e in ledger.standing),
    )


def _measured(ledger: Ledger) -> dict[str, Measured]:
    """Evaluations by round; the control's by its name."""
    found = {}
    for entry in ledger.standing:
        if entry.step in ("evaluate", "machine-evaluate") and entry.outputs:
            name = str(entry.round) if entry.step == "evaluate" else MACHINE_ALONE
            text = ledger.folder.read(entry.outputs["evaluation"])
            found[name] = Measured.model_validate_json(text)
    return found


def _values(measured: Measured) -> dict[str, Estimate]:
    taken = (name for name in SHOWN if name not in MEASURES or has(name, measured))
    return {name: ratio(_parts(measured, name)) for name in taken}


def _parts(measured: Measured, name: str) -> Parts:
    if name in MEASURES:
        sums = [MEASURES[name].of(photo) for photo in measured.photos]
        return np.array([(part.value, part.weight) for part in sums], np.float64)
    return np.array([(getattr(p, name), p.truths) for p in measured.photos], np.float64)


def _model_falls(measured: Mapping[str, Measured], used: set[int]) -> list[Fall]:
    """The last model in use against the first one, and against the control."""
    in_use = str(max(used, default=0))
    if in_use == "0" or in_use not in measured:
        return []
    falls = []
    for other, words in (("0", "the first model"), (MACHINE_ALONE, "the machine alone")):
        if other not in measured:
            continue
        for name, percent in (("clicks_85", 85), ("clicks_90", 90)):
            times = times_fewer(_parts(measured[other], name), _parts(measured[in_use], name))
            what = f"held-out masks to {percent} % IoU, round {in_use} against {words}"
            falls.append(Fall(what, times))
    return falls


def _efforts(ledger: Ledger) -> dict[str, _PhotoEffort]:
    found = {}
    for entry in ledger.standing:
        if entry.step in ("collect", "same-clicks") and "run" in entry.outputs:
            name = str(entry.round) if entry.step == "collect" else SAME_CLICKS
            found[name] = _PhotoEffort.of(ledger, entry)
    return found


@dataclass(frozen=True)
class _PhotoEffort:
    """Of each photo with a mask: clicks, masks that nobody touched, masks."""

    clicks_P: NDArray[np.float64]
    untouched_P: NDArray[np.float64]
    masks_P: NDArray[np.float64]

    @classmethod
    def of(cls, ledger: Ledger, entry: Entry) -> _PhotoEffort:
        run = f"{ledger.folder.address.rstrip('/')}/{entry.outputs['run']}"
        there = (row for row in read_rows(run, columns=["masks"]) if not is_removed(row))
        rows = sorted(there, key=lambda row: row.ref.path)
        counts = np.array(
            [
                (
                    sum(mask.clicks or 0 for mask in row.masks),
                    sum(mask.origin not in PEOPLES_ORIGINS for mask in row.masks),
                    len(row.masks),
                )
                for row in rows
            ],
            np.float64,
        ).reshape(-1, 3)
        return cls(counts[:, 0], counts[:, 1], counts[:, 2])

    def a_mask(self, values_P: NDArray[np.float64]) -> Parts:
        return np.stack([values_P, self.masks_P], axis=1)


def _effort(name: str, photos: _PhotoEffort) -> EffortFigures:
    return EffortFigures(
        name,
        len(photos.masks_P),
        int(photos.masks_P.sum()),
        ratio(photos.a_mask(photos.clicks_P)),
        ratio(photos.a_mask(photos.untouched_P)),
    )


def _effort_falls(ledger: Ledger, efforts: Mapping[str, _PhotoEffort]) -> list[Fall]:
    """The control's photos with the model of their time, and the last round against the first."""
    falls = []
    same = ledger.last("same-clicks")
    if same is not None and SAME_CLICKS in efforts:
        number = same.inputs["compared with"].removeprefix("round ")
        before, after = efforts[SAME_CLICKS], efforts[number]
        times = times_fewer(before.a_mask(before.clicks_P), after.a_mask(after.clicks_P))
        falls.append(Fall(f"annotating the photos of round {number} against {SAME_CLICKS}", times))
    numbers = [name for name in efforts if name.isdigit()]
    if len(numbers) > 1:
        before, after = efforts[numbers[0]], efforts[numbers[-1]]
        times = times_fewer(
            before.a_mask(before.clicks_P), after.a_mask(after.clicks_P), is_paired=False
        )
        words = f"annotating in round {numbers[-1]} against round {numbers[0]} (other photos)"
        falls.append(Fall(words, times))
    return falls


def ratio(parts_P2: Parts) -> Estimate:
    """Sum of the numerators over that of the denominators."""
    drawn = _ratios(parts_P2[_drawn(len(parts_P2), 0)].sum(axis=1))
    return _estimate(float(_ratios(parts_P2.sum(axis=0))), drawn)


def times_fewer(before_P2: Parts, after_P2: Parts, *, is_paired: bool = True) -> Estimate:
    """Ratio of two ratios; paired: both of the same photos in the same order."""
    if is_paired and len(before_P2) != len(after_P2):
        raise ValueError(f"{len(before_P2)} and {len(after_P2)} photos cannot be paired")
    first = before_P2[_drawn(len(before_P2), 0)].sum(axis=1)
    second = after_P2[_drawn(len(after_P2), 0 if is_paired else 1)].sum(axis=1)
    value = _ratios(before_P2.sum(axis=0)) / np.maximum(_ratios(after_P2.sum(axis=0)), 1e-9)
    return _estimate(float(value), _ratios(first) / np.maximum(_ratios(second), 1e-9))


def _estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _ratios(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-9))


def _drawn(photos: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(photos, size=(BOOTSTRAP_ROUNDS, photos))

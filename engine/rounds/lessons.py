"""What each candidate learned from, and for how long: what has to be alike before results are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.rounds.entries import Entry
from engine.rounds.ledger import Ledger

MACHINE_ALONE: Final = "machine alone"
# A training's step, and the step that put its data set together.
_DATA_OF: Final[Mapping[str, str]] = {"train": "build", "machine-train": "machine-data"}


@dataclass(frozen=True)
class Lesson:
    """One training.

    Attributes:
        name: the round's number, or the control's name.
        steps: of it.
        steps_in_all: with those of the models that it began with, back to the first model.
        photos, masks: of its data set.
    """

    name: str
    steps: int
    steps_in_all: int
    photos: int
    masks: int


def lessons_of(ledger: Ledger) -> tuple[Lesson, ...]:
    """Every round's training that stands, and the control's."""
    steps_to: dict[str, int] = {}
    lessons = []
    for entry in ledger.standing:
        if entry.step == "promote" and entry.outputs:
            before = steps_to.get(entry.inputs["candidate"], 0)
            steps_to[entry.outputs["checkpoint"]] = before
        elif entry.step in _DATA_OF and entry.round > 0 and entry.outputs:
            in_all = steps_to.get(entry.inputs["checkpoint"], 0) + int(entry.counts["steps"])
            steps_to[entry.outputs["checkpoint"]] = in_all
            lessons.append(_lesson(ledger, entry, in_all))
    return tuple(lessons)


def _lesson(ledger: Ledger, trained: Entry, in_all: int) -> Lesson:
    data = ledger.find(trained.round, _DATA_OF[trained.step])
    counts: Mapping[str, float] = {} if data is None else data.counts
    return Lesson(
        name=str(trained.round) if trained.step == "train" else MACHINE_ALONE,
        steps=int(trained.counts["steps"]),
        steps_in_all=in_all,
        photos=int(counts.get("train_photos", counts.get("photos", 0))),
        masks=int(
            counts.get("masks", counts.get("peoples_masks", 0) + counts.get("machines_masks", 0))
        ),
    )

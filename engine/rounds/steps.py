"""The steps of a round in their order, and which part of the configuration each depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from engine.rounds import (
    beginning,
    calibrating,
    collecting,
    controls,
    data_set,
    learning,
    photos,
    proposing,
)
from engine.rounds.context import Context
from engine.rounds.entries import Outcome
from engine.rounds.round_settings import RoundSettings
from engine.rounds.settings import EngineSettings
from model.errors import ConfigurationError

Settings = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: in the ledger.
        make: does it; safe to repeat, and goes on where a killed call stopped.
        depends_on: the part of the configuration that it depends on.
        what: in a few words, for plans.
    """

    name: str
    make: Callable[[Context], Outcome]
    depends_on: Callable[[EngineSettings, RoundSettings | None], Settings]
    what: str


def _plain(model: BaseModel | None) -> Any:
    return None if model is None else model.model_dump(mode="json")


def _of(settings: RoundSettings | None) -> RoundSettings:
    if settings is None:
        raise RuntimeError("this step belongs to a round with settings: this is a bug")
    return settings


def _on_nothing(_engine: EngineSettings, _round: RoundSettings | None) -> Settings:
    return {}


def _on_existing(engine: EngineSettings, _round: RoundSettings | None) -> Settings:
    return {"existing": [_plain(entry) for entry in engine.existing]}


def _on_first(engine: EngineSettings, _round: RoundSettings | None) -> Settings:
    if engine.first is None:
        return {"start": engine.start}
    return {"first": engine.first.model_dump(mode="json", exclude={"log", "threads"})}


def _on_choice(engine: EngineSettings, its: RoundSettings | None) -> Settings:
    return {
        "stage": _of(its).stage,
        "photos": _plain(_of(its).photos),
        "pool": _plain(engine.pool),
        "seed": engine.seed,
    }


def _on_proposing(_engine: EngineSettings, its: RoundSettings | None) -> Settings:
    return {
        "proposing": _of(its).proposing.model_dump(mode="json", exclude={"workers"}),
        "detector": _plain(_of(its).detector),
    }


def _on_people(engine: EngineSettings, its: RoundSettings | None) -> Settings:
    return {
        "people": engine.what_people_depend_on(),
        "objects_per_photo": _of(its).objects_per_photo,
        "sure_predicted_iou": _of(its).sure_predicted_iou,
    }


def _on_annotator(engine: EngineSettings, _round: RoundSettings | None) -> Settings:
    return {"people": engine.what_people_depend_on()}


def _on_data(engine: EngineSettings, its: RoundSettings | None) -> Settings:
    return {"data": _plain(engine.data_of(its)), "seed": engine.seed}


def _on_training(engine: EngineSettings, its: RoundSettings | None) -> Settings:
    return {"train": _plain((its.train if its else None) or engine.train), "seed": engine.seed}


def _on_held_out(engine: EngineSettings, _round: RoundSettings | None) -> Settings:
    return {"held_out": _plain(engine.held_out)}


def _on_controls(engine: EngineSettings, its: RoundSettings | None) -> Settings:
    ours = {"machine_alone": _plain(engine.machine_alone)}
    return ours | _on_data(engine, its) | _on_training(engine, its)


def _on_gate(engine: EngineSettings, its: RoundSettings | None) -> Settings:
    return {"gate": _plain((its.gate if its else None) or engine.gate)}


def _on_calibration(engine: EngineSettings, _round: RoundSettings | None) -> Settings:
    return {"calibration": _plain(engine.calibration), "held_out": _plain(engine.held_out)}


# Round 0 and all others measure and calibrate in the same way.
_EVALUATE: Final = Step(
    "evaluate", learning.evaluate, _on_held_out, "held-out clicks, automatic masks"
)
_CALIBRATE: Final = Step(
    "calibrate", calibrating.calibrate_step, _on_calibration, "thresholds of a promoted model"
)

BEGINNING: Final = (
    Step("import", beginning.import_existing, _on_existing, "masks that are there"),
    Step("train", beginning.first_checkpoint, _on_first, "the first model"),
    _EVALUATE,
    Step("promote", beginning.promote_first, _on_nothing, "the first model is in use"),
    _CALIBRATE,
)

ROUND: Final = (
    Step("plan", photos.plan, _on_choice, "choose photos"),
    Step("propose", proposing.propose_step, _on_proposing, "the model's own masks"),
    Step("collect", collecting.collect, _on_people, "people confirm, correct, add"),
    Step("build", data_set.build, _on_data, "join, find near-duplicates, split"),
    Step("train", learning.train, _on_training, "a candidate"),
    _EVALUATE,
    Step("gate", learning.gate, _on_gate, "candidate against the model in use"),
    Step("promote", learning.promote, _on_nothing, "promote, or keep"),
    _CALIBRATE,
)

CONTROLS: Final = (
    Step("same-clicks", controls.same_clicks, _on_annotator, "the same without retraining"),
    Step("machine-data", controls.machine_data, _on_controls, "automatic masks of the first model"),
    Step("machine-train", controls.machine_train, _on_controls, "retraining on them alone"),
    Step("machine-evaluate", controls.machine_evaluate, _on_held_out, "the same held-out masks"),
)


def steps_of(number: int, rounds: int) -> tuple[Step, ...]:
    """The steps of a round: 0 is the beginning, the one behind the last the controls."""
    if number == 0:
        return BEGINNING
    return ROUND if number <= rounds else CONTROLS


def steps_from(number: int, step: str) -> tuple[str, ...]:
    """The names of a round's steps from one on.

    Raises:
        ConfigurationError: if the round has no such step.
    """
    chains = (BEGINNING,) if number == 0 else (ROUND, CONTROLS)
    for names in ([each.name for each in chain] for chain in chains):
        if step in names:
            return tuple(names[names.index(step) :])
    known = ", ".join(each.name for each in chains[0])
    raise ConfigurationError(f"round {number} has no step {step!r}; its steps are {known}")

"""A whole engine as a user states it: the pool of photos, the rounds, and what decides between."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.assist.settings import AssistRun
from engine.configuration import build, parse_assignments, read_yaml
from engine.quality.calibrate import CalibrationParameters
from engine.rounds.gate import GateParameters
from engine.rounds.people import AskedAgain
from engine.rounds.recipe import RoundTraining
from engine.rounds.round_settings import RoundSettings
from engine.simulation.annotator import AnnotatorParameters
from engine.training.parameters import TrainingConfiguration
from pipelines.storage import open_filesystem
from stages.joining import JoinParameters
from stages.photos import PhotoLimits
from stages.presets import parameters_for

# As `AssistRun` has them: settings in Label Studio that change what people's answers become.
_CHANGE_RECORDS: Final = ("annotators", "names", "winner")

STRICT: Final = ConfigDict(frozen=True, strict=True, extra="forbid")


class Pool(BaseModel):
    """The photos that rounds take from."""

    model_config = STRICT

    source: str = Field(
        description="Photos: a folder, a glob, a .txt file of addresses, or an fsspec URL."
    )
    name: str | None = Field(
        default=None, min_length=1, description="Name of the source, part of every id."
    )
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )


class People(BaseModel):
    """Who confirms: people in Label Studio, or an annotator made of known masks."""

    model_config = STRICT

    kind: Literal["simulated", "label_studio"] = "simulated"
    truth: str | None = Field(
        default=None, description="simulated: COCO file of the known masks, seen by nobody else."
    )
    through: Literal["model", "label_studio"] = Field(
        default="model",
        description="simulated: asks the model here, or works in a Label Studio by the requests "
        "of a browser, with a click backend of its own.",
    )
    annotator: AnnotatorParameters = Field(
        default_factory=AnnotatorParameters, description="simulated: how the annotator works."
    )
    label_studio: dict[str, Any] = Field(
        default_factory=dict,
        description="In Label Studio: settings of `mask-engine assist` (server, backend, ...).",
    )

    @model_validator(mode="after")
    def _knows_what_it_needs(self) -> People:
        if self.kind == "simulated" and self.truth is None:
            raise ValueError("people.kind is simulated, so people.truth has to name a COCO file")
        ours = {"source": "photos", "out": "run", "project": "Round"}
        build(AskedAgain, [ours, self.label_studio], origin="people.label_studio")
        return self


class HeldOut(BaseModel):
    """Known masks that no round sees: checkpoints are compared on them."""

    model_config = STRICT

    truth: str = Field(description="COCO file of known masks; every object of a photo in it.")
    images: str | None = Field(default=None, description="Folder of its photos. [beside the file]")
    photos: int | None = Field(default=None, gt=0, description="At most so many photos.")
    masks: int = Field(default=300, gt=0, description="Masks that are clicked on.")
    masks_per_photo: int = Field(default=15, gt=0, description="At most so many of one photo.")
    most_clicks: int = Field(default=20, ge=1, le=20, description="Clicks on a mask.")
    preset: str = Field(default="fast", description="Of the automatic masks.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the automatic stage that differ from it."
    )
    seed: int = Field(default=0, description="Of the choice of masks, and of intervals.")


class ExistingMasks(BaseModel):
    """Masks that are there before the first round."""

    model_config = STRICT

    format: Literal["coco", "sa1b", "run"]
    path: str = Field(description="COCO's JSON file, SA-1B's folder, or a run's folder.")
    photos: str | None = Field(default=None, description="Where the photos are, if elsewhere.")


class MachineAlone(BaseModel):
    """The control in which a model learns from the first model's automatic masks alone.

    It gets as many masks as people made in all rounds, those that the first model is surest of.
    """

    model_config = STRICT

    photos: int | None = Field(
        default=None, gt=0, description="At most so many of the rounds' photos; all if unset."
    )
    steps: int | None = Field(
        default=None, gt=0, description="Of its training; those of all rounds together if unset."
    )
    lowest_stability: float = Field(
        default=0.3, ge=0, le=1, description="Masks less stable are not looked at."
    )


class EngineSettings(BaseModel):
    """`mask-engine run FILE`: everything from the first photo to the last checkpoint."""

    model_config = STRICT

    out: str = Field(description="The engine's folder: a path or an s3:// address.")
    scratch: str | None = Field(
        default=None, description="Local folder for training, where `out` is no local path."
    )
    data_root: str = Field(default=".", description="Relative addresses of data begin here.")
    pool: Pool
    people: People
    held_out: HeldOut
    existing: tuple[ExistingMasks, ...] = Field(
        default=(), strict=False, description="Masks of round 0."
    )
    start: str = Field(default="starter", description="The first model: a name or a file.")
    first: TrainingConfiguration | None = Field(
        default=None, description="Trains the first model instead: as `mask-engine train` does."
    )
    rounds: tuple[RoundSettings, ...] = Field(min_length=1, strict=False)
    data: JoinParameters = Field(
        default_factory=JoinParameters, description="How a round's data set is put together."
    )
    train: RoundTraining = Field(default_factory=RoundTraining, description="Retraining.")
    gate: GateParameters = Field(default_factory=GateParameters, description="Promotion.")
    calibration: CalibrationParameters | None = Field(
        default_factory=CalibrationParameters,
        description="Thresholds of automatic masks for each promoted model; null: never.",
    )
    controls: bool = Field(
        default=False,
        description="After the last round: the same clicks without retraining, and retraining on "
        "automatic masks alone.",
    )
    machine_alone: MachineAlone = Field(
        default_factory=MachineAlone, description="The control without people."
    )
    seed: int = Field(default=0, description="Of every choice.")
    threads: int | None = Field(default=None, ge=1, description="Of the model; the cores if unset.")
    device: str = Field(default="cpu", description="cpu, cuda or mps.")

    @model_validator(mode="after")
    def _masks_can_be_proposed(self) -> EngineSettings:
        """Refuses unknown presets and settings of the automatic stage before any work."""
        parameters_for(self.held_out.preset, self.held_out.parameters)
        for its in self.rounds:
            parameters_for(its.proposing.preset, its.proposing.parameters)
        if self.calibration is not None:
            parameters_for(self.calibration.preset, self.calibration.parameters)
        return self

    @model_validator(mode="after")
    def _works_where_it_is(self) -> EngineSettings:
        """Refuses what could only fail after hours of people's work."""
        held_out, least = self.held_out.photos, self.least_held_out()
        if held_out is not None and held_out < least:
            raise ValueError(
                f"held_out.photos is {held_out}, and gate.least_photos asks for {least}: hold out "
                "more photos, or lower it"
            )
        return self

    def least_held_out(self) -> int:
        """Held-out photos that the gates of all rounds ask for."""
        return max((its.gate or self.gate).least_photos for its in self.rounds)

    def data_of(self, its: RoundSettings | None) -> JoinParameters:
        """How the data set of a round is put together."""
        return (its.data if its else None) or self.data

    def what_people_depend_on(self) -> dict[str, Any]:
        """What changes the records that people make, and not how they are reached or told."""
        people = self.people
        parts: dict[str, Any] = {"kind": people.kind}
        if people.kind == "simulated":
            truth = self.under_root(people.truth or "")
            parts |= {
                "through": people.through,
                "annotator": people.annotator.model_dump(mode="json"),
                "truth_sha256": _sha256(truth),
            }
        if "label_studio" in (people.kind, people.through):
            known = {name: AssistRun.model_fields[name].default for name in _CHANGE_RECORDS}
            given = {k: v for k, v in people.label_studio.items() if k in _CHANGE_RECORDS}
            parts["label_studio"] = {
                k: v if k != "names" else list(v) for k, v in (known | given).items()
            }
        return parts

    def under_root(self, address: str) -> str:
        """An address of data, relative ones below `data_root`; `~` is the user's home."""
        if "://" in address:
            return address
        if os.path.isabs(os.path.expanduser(address)):
            return os.path.expanduser(address)
        if "://" in self.data_root:
            return f"{self.data_root.rstrip('/')}/{address}"
        return os.path.join(open_filesystem(self.data_root)[1], address)

    def flat_rounds(self) -> tuple[RoundSettings, ...]:
        """One entry a round; round 1 is the first."""
        return tuple(
            entry.model_copy(update={"repeat": 1})
            for entry in self.rounds
            for _ in range(entry.repeat)
        )


def _sha256(path: str) -> str | None:
    """Of a file; None if it is not there, which is told where it is needed."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def read_engine(config: str, pairs: Sequence[str] = ()) -> EngineSettings:
    """Reads an engine's configuration; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(EngineSettings, [read_yaml(config), parse_assignments(pairs)], origin=config)

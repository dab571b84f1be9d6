"""The part of a checkpoint's card that people write: a YAML file with exactly these keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.configuration import build, read_yaml
from model.card_entries import DataSet, TrainingRun
from model.checkpoint_card import Thresholds

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid")


class WrittenDataSet(BaseModel):
    """Data that the checkpoint was trained on."""

    model_config = STRICT

    name: str = Field(min_length=1, description="with its version or part")
    licence: str = Field(min_length=1, description="of photos and masks, where they differ")
    attribution: str = Field(default="", description="whom to name, what to cite")
    used: str = Field(default="", description="how much of it, and for what")


class WrittenRun(BaseModel):
    """A run of the chain whose folder is gone; those that are there go by --run."""

    model_config = STRICT

    configuration: str = Field(min_length=1, description="file that makes it again")
    steps: int = Field(ge=0)
    pictures: int = Field(ge=0, description="in all steps, of all processes")
    side_px: int = Field(gt=0, description="of the pictures")
    hours: float | None = Field(default=None, ge=0, strict=False, description="of the clock")
    purpose: str = ""


class WrittenThresholds(BaseModel):
    """What automatic masks should reach to be kept."""

    model_config = STRICT

    predicted_iou: float = Field(ge=0, le=1)
    stability: float = Field(ge=0, le=1)


class WrittenCard(BaseModel):
    """`mask-engine checkpoints describe --text FILE`; what is left out stays as it is."""

    model_config = STRICT

    data: tuple[WrittenDataSet, ...] | None = Field(default=None, strict=False)
    recipe: tuple[WrittenRun, ...] | None = Field(default=None, strict=False)
    limits: tuple[str, ...] | None = Field(default=None, strict=False)
    thresholds: WrittenThresholds | None = None
    notes: str | None = None


def read_written(path: str) -> WrittenCard:
    """Reads the file.

    Raises:
        ConfigurationError: no such file, or a key or value in it is wrong.
    """
    return build(WrittenCard, [read_yaml(path)], origin=path)


def changes_of(written: WrittenCard) -> dict[str, object]:
    """Fields of the card that the file gives, by name."""
    changes: dict[str, object] = {}
    if written.data is not None:
        changes["data_sets"] = tuple(DataSet(**entry.model_dump()) for entry in written.data)
        changes["data"] = tuple(entry.name for entry in written.data)
    if written.recipe is not None:
        changes["recipe"] = tuple(TrainingRun(**run.model_dump()) for run in written.recipe)
    if written.limits is not None:
        changes["limits"] = written.limits
    if written.thresholds is not None:
        changes["thresholds"] = Thresholds(**written.thresholds.model_dump())
    if written.notes is not None:
        changes["notes"] = written.notes
    return changes

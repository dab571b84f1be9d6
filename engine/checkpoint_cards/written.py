"""The part of a checkpoint's card that people write: a YAML file with exactly these keys.

Entries are the card's own; runs whose folders are there go by --run instead.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.configuration import build, read_yaml
from model.card_entries import DataSet, TrainingRun
from model.checkpoint_card import Thresholds

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid")


class WrittenThresholds(BaseModel):
    """What automatic masks should reach to be kept."""

    model_config = STRICT

    predicted_iou: float = Field(ge=0, le=1)
    stability: float = Field(ge=0, le=1)


class WrittenCard(BaseModel):
    """`mask-engine checkpoints describe --text FILE`; what is left out stays as it is."""

    model_config = STRICT

    data: tuple[DataSet, ...] | None = Field(default=None, strict=False)
    recipe: tuple[TrainingRun, ...] | None = Field(default=None, strict=False)
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
        changes["data_sets"] = written.data
        changes["data"] = tuple(entry.name for entry in written.data)
    if written.recipe is not None:
        changes["recipe"] = written.recipe
    if written.limits is not None:
        changes["limits"] = written.limits
    if written.thresholds is not None:
        changes["thresholds"] = Thresholds(**written.thresholds.model_dump())
    if written.notes is not None:
        changes["notes"] = written.notes
    return changes

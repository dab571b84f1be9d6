"""What a checkpoint's card says of its data, its making and its results, entry by entry. No torch.

Entries are plain data: what is not known is None or empty, never guessed. Those that people may
write (docs/starter-card.yaml) are checked by the class itself, results come from commands alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

_STRICT: Final = ConfigDict(frozen=True, strict=True, extra="forbid")


class DataSet(BaseModel):
    """Data that a checkpoint was trained on, as its licence asks to have it told."""

    model_config = _STRICT

    name: str = Field(min_length=1, description="with its version or part")
    licence: str = Field(min_length=1, description="of photos and of masks, where they differ")
    attribution: str = Field(default="", description="whom to name, and what to cite")
    used: str = Field(default="", description="how much of it, and for what")


class TrainingRun(BaseModel):
    """One run of the chain that made a checkpoint."""

    model_config = _STRICT

    configuration: str = Field(min_length=1, description="file that makes it again")
    steps: int = Field(ge=0, description="optimiser steps done")
    pictures: int = Field(ge=0, description="drawn in them, by all processes")
    side_px: int = Field(gt=0, description="of the pictures")
    hours: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="of the clock, or null where nobody kept them",
    )
    purpose: str = Field(default="", description="what it was for")


@dataclass(frozen=True)
class Result:
    """What a checkpoint reached on known masks, and classical answers beside it.

    Attributes:
        truth: the masks' name.
        masks: how many they are.
        figures: by name, as `evaluate` writes them (`miou_1` after one click).
        baselines: mean IoU after one click, by the baseline's name.
    """

    truth: str
    masks: int
    figures: Mapping[str, float]
    baselines: Mapping[str, float]

    def __post_init__(self) -> None:
        for name, value in (*self.figures.items(), *self.baselines.items()):
            if not math.isfinite(value):
                raise ValueError(f"{self.truth}: {name} is {value}, expected a number")


def as_json(entry: DataSet | TrainingRun | Result) -> dict[str, Any]:
    """An entry as JSON has it, by the names of its fields."""
    if isinstance(entry, Result):
        figures, baselines = dict(entry.figures), dict(entry.baselines)
        return {
            "truth": entry.truth,
            "masks": entry.masks,
            "figures": figures,
            "baselines": baselines,
        }
    return entry.model_dump()

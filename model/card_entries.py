"""What a checkpoint's card says of its data, its making and its results, entry by entry. No torch.

Entries are plain data: what is not known is None or empty, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DataSet:
    """Data that a checkpoint was trained on, as its licence asks to have it told.

    Attributes:
        name: with its version or part.
        licence: of photos and of masks, where they differ.
        attribution: whom to name, and what to cite.
        used: how much of it, and for what.
    """

    name: str
    licence: str
    attribution: str = ""
    used: str = ""

    def __post_init__(self) -> None:
        if not (self.name and self.licence):
            raise ValueError(f"data set {self.name!r} with licence {self.licence!r}: name both")


@dataclass(frozen=True)
class TrainingRun:
    """One run of the chain that made a checkpoint.

    Attributes:
        configuration: file of the project that makes it again.
        steps: optimiser steps done.
        pictures: drawn in them, by all processes.
        side_px: of the pictures.
        hours: of the clock, or None where nobody kept them.
        purpose: what it was for.
    """

    configuration: str
    steps: int
    pictures: int
    side_px: int
    hours: float | None = None
    purpose: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "pictures", "side_px", "hours"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{self.configuration}: {name} is {value}, expected 0 or more")


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
    return asdict(entry)

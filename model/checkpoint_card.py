"""What a checkpoint says about itself, as its file's header carries it. No torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from model.card_entries import DataSet, Result, TrainingRun, as_json
from model.errors import CheckpointError

FORMAT_VERSION: Final = 1
_ENTRIES: Final = ("data_sets", "recipe", "results")
PRECISION_METRIC: Final = "calibrated_precision"
"""The metric of the card under which the precision stands that its thresholds were chosen for."""
HEADER_KEY: Final = "mask_engine"
"""The one entry in a safetensors file's metadata. One, because their order is not kept."""


@dataclass(frozen=True)
class Thresholds:
    """What automatic masks of this checkpoint should reach to be kept."""

    predicted_iou: float
    stability: float

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"threshold {name} is {value}, expected 0..1")


@dataclass(frozen=True)
class CheckpointCard:
    """The metadata of a checkpoint.

    Attributes:
        architecture: name that `build_sam` knows.
        model_id: 16 hex digits derived from the weights as stored.
        parent: model_id of the checkpoint that training started from, or None.
        data: names of the data sets it was trained on, with their versions.
        metrics: numbers that commands keep here (a calibration's precision, a detector's
            input size); what `evaluate` measured stands in `results`.
        thresholds: recommended ones, or None where nobody measured any.
        notes: anything else worth telling, in plain words.
        data_sets: the data with licences and attribution; `data` has their names alone.
        recipe: the runs that made it, the first one first.
        results: what it reached, and baselines beside it.
        limits: what it cannot do, a sentence each.
    """

    architecture: str
    model_id: str
    parent: str | None = None
    data: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    thresholds: Thresholds | None = None
    notes: str = ""
    data_sets: tuple[DataSet, ...] = ()
    recipe: tuple[TrainingRun, ...] = ()
    results: tuple[Result, ...] = ()
    limits: tuple[str, ...] = ()

    def to_header(self) -> dict[str, str]:
        """The safetensors metadata that carries this card; the same card gives the same text."""
        fields = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        fields["metrics"] = dict(self.metrics)
        fields["thresholds"] = self.thresholds and dataclasses.asdict(self.thresholds)
        for name in _ENTRIES:
            fields[name] = [as_json(entry) for entry in getattr(self, name)]
        card = {"format_version": FORMAT_VERSION, **fields}
        return {HEADER_KEY: json.dumps(card, sort_keys=True)}


def card_from_header(header: Mapping[str, str], path: str) -> CheckpointCard:
    """Read the card from a safetensors file's metadata.

    Raises:
        CheckpointError: there is no card, a newer version wrote it, or it is damaged.
    """
    text = header.get(HEADER_KEY)
    if text is None:
        raise CheckpointError(
            f"{path} is a safetensors file but not a mask-engine checkpoint (its metadata has no "
            f"{HEADER_KEY!r} entry): give an official sam_vit_*.pth file or a checkpoint that "
            "mask-engine wrote"
        )
    try:
        return _parse(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path} has a card that cannot be read ({_reason(error)}): written by a newer version "
            "of mask-engine, or damaged; update mask-engine or get the file again"
        ) from error


def _reason(error: Exception) -> str:
    """In one line, also where pydantic has more to say."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return f"{error.title} {'.'.join(map(str, first['loc']))}: {first['msg']}"


def _parse(card: dict[str, Any]) -> CheckpointCard:
    if card["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format version {card['format_version']}, expected {FORMAT_VERSION}")
    thresholds = card["thresholds"]
    return CheckpointCard(
        architecture=str(card["architecture"]),
        model_id=str(card["model_id"]),
        parent=None if card["parent"] is None else str(card["parent"]),
        data=tuple(str(name) for name in card["data"]),
        metrics=MappingProxyType({str(k): float(v) for k, v in card["metrics"].items()}),
        thresholds=None if thresholds is None else Thresholds(**thresholds),
        notes=str(card["notes"]),
        # Cards written before these were there have none of them.
        data_sets=tuple(DataSet(**entry) for entry in card.get("data_sets", ())),
        recipe=tuple(TrainingRun(**entry) for entry in card.get("recipe", ())),
        results=tuple(Result(**entry) for entry in card.get("results", ())),
        limits=tuple(str(limit) for limit in card.get("limits", ())),
    )

"""A checkpoint's card as people read it, and as programs do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.console import columns
from model.card_entries import DataSet, Result, TrainingRun, as_json
from model.checkpoint_card import CheckpointCard

_WIDTH = 18


def card_fields(card: CheckpointCard) -> dict[str, Any]:
    """Everything, under plain names."""
    thresholds = card.thresholds
    return {
        "architecture": card.architecture,
        "model_id": card.model_id,
        "parent": card.parent,
        "data": list(card.data),
        "min_predicted_iou": thresholds and thresholds.predicted_iou,
        "min_stability": thresholds and thresholds.stability,
        "metrics": dict(card.metrics),
        "notes": card.notes,
        "data_sets": [as_json(entry) for entry in card.data_sets],
        "recipe": [as_json(entry) for entry in card.recipe],
        "results": [as_json(entry) for entry in card.results],
        "limits": list(card.limits),
    }


def card_lines(card: CheckpointCard) -> list[str]:
    """A line a fact; longer parts, where the card has them, stand below under a heading."""
    thresholds = card.thresholds
    facts = [
        ("architecture", card.architecture),
        ("model id", card.model_id),
        ("parent", card.parent or "none"),
        ("data", ", ".join(card.data) or "not told"),
        ("min predicted iou", thresholds.predicted_iou if thresholds else "none"),
        ("min stability", thresholds.stability if thresholds else "none"),
        ("notes", card.notes or "none"),
    ]
    return [
        *(f"{name.ljust(_WIDTH)}{value}" for name, value in facts),
        *_part("metrics", columns((name, f"{v:.4g}") for name, v in card.metrics.items())),
        *_part("data and licences", _of_data(card.data_sets)),
        *_part("recipe", _of_recipe(card.recipe)),
        *_part("results", _of_results(card.results)),
        *_part("limits", [f"  - {limit}" for limit in card.limits]),
    ]


def _part(heading: str, lines: Sequence[str]) -> list[str]:
    return [heading, *lines] if lines else []


def _of_data(data_sets: Iterable[DataSet]) -> list[str]:
    lines = []
    for entry in data_sets:
        lines += [f"  {entry.name}: {entry.licence}"]
        lines += [f"    {text}" for text in (entry.attribution, entry.used) if text]
    return lines


def _of_recipe(recipe: Sequence[TrainingRun]) -> list[str]:
    if not recipe:
        return []
    rows = [("", "steps", "pictures", "px", "hours", "")]
    for run in recipe:
        hours = "not kept" if run.hours is None else f"{run.hours:.1f}"
        numbers = (str(run.steps), str(run.pictures), str(run.side_px), hours)
        rows.append((run.configuration, *numbers, run.purpose))
    known = sum(run.hours or 0 for run in recipe)
    pictures = sum(run.pictures for run in recipe)
    return [*columns(rows), f"  in all {pictures} pictures, {known:.1f} hours that were kept"]


def _of_results(results: Sequence[Result]) -> list[str]:
    """A column a truth, a row a figure; baselines after the figures."""
    if not results:
        return []
    figures = sorted({name for result in results for name in result.figures})
    baselines = sorted({name for result in results for name in result.baselines})
    return columns(
        [
            ("", *(result.truth for result in results)),
            ("masks", *(str(result.masks) for result in results)),
            *((name, *(_number(r.figures.get(name)) for r in results)) for name in figures),
            *(
                (f"{name}, 1 click", *(_number(r.baselines.get(name)) for r in results))
                for name in baselines
            ),
        ]
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

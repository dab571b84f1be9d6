"""The report of an engine's rounds: tables, a verdict, and plots, in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from engine.console import duration
from engine.evaluation.measures import Estimate
from engine.rounds.figures import (
    SAME_CLICKS,
    EffortFigures,
    Fall,
    Figures,
    ModelFigures,
    figures_of,
)
from engine.rounds.ledger import Ledger
from engine.rounds.lessons import MACHINE_ALONE, Lesson

TITLES: Final = {
    "clicks_85": "clicks to 85 %",
    "clicks_90": "clicks to 90 %",
    "iou_1": "IoU, 1 click",
    "mean_iou": "IoU, 1-5 clicks",
    "found": "found",
    "untouched": "untouched",
    "ar_100": "AR@100",
    "ar_1000": "AR@1000",
}
PAGE: Final = "README.md"
NUMBERS: Final = "figures.json"
CLICKS_PLOT: Final = "clicks.png"
MASKS_PLOT: Final = "masks.png"


def write_report(ledger: Ledger, state: str, folder: Path) -> Path:
    """Writes tables, numbers and plots of what stands in a ledger; gives the page.

    Args:
        ledger: of the engine, wherever it stands.
        state: in words.
        folder: made if it is not there; an earlier report in it is replaced.
    """
    figures = figures_of(ledger)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NUMBERS).write_text(json.dumps(asdict(figures), indent=1), encoding="utf-8")
    plots = draw_plots(figures, folder)
    page = folder / PAGE
    page.write_text("\n".join(report_lines(figures, state, plots)) + "\n", encoding="utf-8")
    return page


def report_lines(figures: Figures, state: str, plots: Sequence[str] = ()) -> list[str]:
    """The page, in Markdown."""
    lines = ["# Rounds", f"{state}. Intervals: 95 %, over photos drawn again.", ""]
    if figures.models:
        lines += ["## Checkpoints on the held-out masks", *_models_table(figures.models), ""]
    if figures.lessons:
        lines += ["## What they learned from", *_lessons_table(figures.lessons), ""]
    if figures.efforts:
        lines += ["## What annotating cost", *_efforts_table(figures.efforts), ""]
    if figures.falls:
        lines += ["## How many times fewer clicks", *_falls_table(figures.falls), ""]
    lines += [f"![{name}]({name})" for name in plots]
    if figures.seconds:
        lines += ["", "## Time", *_time_table(figures.seconds)]
    return lines


def _models_table(models: Sequence[ModelFigures]) -> list[str]:
    rows = [
        [model.name, model.model_id[:8], "yes" if model.is_used else "no"]
        + [_told(model.values[name]) if name in model.values else "-" for name in TITLES]
        for model in models
    ]
    return _table(["round", "model", "in use", *TITLES.values()], rows)


def _lessons_table(lessons: Sequence[Lesson]) -> list[str]:
    rows = [
        [one.name, *(f"{n:,}" for n in (one.steps, one.steps_in_all, one.photos, one.masks))]
        for one in lessons
    ]
    return _table(["round", "steps", "since the first model", "photos", "masks"], rows)


def _efforts_table(efforts: Sequence[EffortFigures]) -> list[str]:
    rows = [
        [e.name, str(e.photos), str(e.masks), _told(e.clicks), _told(e.untouched)] for e in efforts
    ]
    return _table(["round", "photos", "masks", "clicks a mask", "not touched"], rows)


def _falls_table(falls: Sequence[Fall]) -> list[str]:
    return _table(
        ["", "times", "excludes no effect"],
        [[f.what, _told(f.times), "yes" if f.times.low > 1 else "no"] for f in falls],
    )


def _time_table(seconds: Sequence[tuple[str, float]]) -> list[str]:
    rows = [[name, duration(value)] for name, value in seconds if value >= 1]
    return _table(["step", "time"], [*rows, ["all", duration(sum(v for _, v in seconds))]])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _told(estimate: Estimate) -> str:
    digits = 2 if abs(estimate.value) >= 1 else 3
    low, high = (f"{value:.{digits}f}" for value in (estimate.low, estimate.high))
    return f"{estimate.value:.{digits}f} ({low} to {high})"


def draw_plots(figures: Figures, folder: Path) -> list[str]:
    """Draws what can be drawn; gives the files' names."""
    rounds = [model for model in figures.models if model.name.isdigit()]
    if not rounds:
        return []
    from matplotlib.figure import Figure

    controls = [model for model in figures.models if model.name == MACHINE_ALONE]
    clicks = Figure(figsize=(10, 4), layout="constrained")
    axes = clicks.add_subplot(1, 2, 1)
    axes.set_title("clicks on a held-out mask")
    _draw_models(axes, rounds, controls, ("clicks_85", "clicks_90"))
    axes = clicks.add_subplot(1, 2, 2)
    axes.set_title("clicks on a mask that people made")
    _draw_efforts(axes, figures.efforts)
    clicks.savefig(str(folder / CLICKS_PLOT), dpi=110)

    masks = Figure(figsize=(10, 4), layout="constrained")
    axes = masks.add_subplot(1, 2, 1)
    axes.set_title("IoU after one click")
    _draw_models(axes, rounds, controls, ("iou_1",))
    axes = masks.add_subplot(1, 2, 2)
    axes.set_title("known masks that are found automatically")
    _draw_models(axes, rounds, controls, ("found", "untouched", "ar_1000"))
    masks.savefig(str(folder / MASKS_PLOT), dpi=110)
    return [CLICKS_PLOT, MASKS_PLOT]


def _draw_models(
    axes: Any,
    rounds: Sequence[ModelFigures],
    controls: Sequence[ModelFigures],
    names: Sequence[str],
) -> None:
    """A line through the rounds, hollow where the model was not taken; controls right of them."""
    for place, name in enumerate(names):
        colour = f"C{place}"
        numbers = [int(model.name) for model in rounds]
        values = [model.values[name] for model in rounds]
        axes.plot(numbers, [value.value for value in values], color=colour, label=TITLES[name])
        for number, model, value in zip(numbers, rounds, values, strict=True):
            _draw_point(axes, number, value, colour, is_filled=model.is_used)
        for model in controls:
            _draw_point(
                axes, numbers[-1] + 1, model.values[name], colour, is_filled=False, mark="s"
            )
    _finish(axes, [int(model.name) for model in rounds], [model.name for model in controls])


def _draw_efforts(axes: Any, efforts: Sequence[EffortFigures]) -> None:
    rounds = [effort for effort in efforts if effort.name.isdigit()]
    others = [effort for effort in efforts if effort.name == SAME_CLICKS]
    numbers = [int(effort.name) for effort in rounds]
    axes.plot(numbers, [e.clicks.value for e in rounds], color="C0", label="clicks a mask")
    for effort in rounds:
        _draw_point(axes, int(effort.name), effort.clicks, "C0", is_filled=True)
    beside = (max(numbers) if numbers else 0) + 1
    for effort in others:
        _draw_point(axes, beside, effort.clicks, "C0", is_filled=False, mark="s")
    _finish(axes, numbers, [effort.name for effort in others])


def _draw_point(
    axes: Any, x: float, value: Estimate, colour: str, *, is_filled: bool, mark: str = "o"
) -> None:
    spread = [[max(0.0, value.value - value.low)], [max(0.0, value.high - value.value)]]
    face = colour if is_filled else "white"
    axes.errorbar(
        [x], [value.value], yerr=spread, color=colour, marker=mark, capsize=3, markerfacecolor=face
    )


def _finish(axes: Any, numbers: Sequence[int], controls: Sequence[str]) -> None:
    places = [*numbers, *((max(numbers, default=0) + 1) for _ in controls)]
    axes.set_xticks(places, [*(str(number) for number in numbers), *controls])
    axes.set_xlabel("round (0: before the first; hollow: kept out, or a control)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()

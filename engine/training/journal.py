"""A run's figures: one JSON line every few steps, and the curves drawn from them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from model.training.loop import StepFigures

LOG_NAME = "log.jsonl"
CURVES_NAME = "curves.png"
CURVES = (
    ("loss", ("loss", "edge_loss")),
    ("IoU with the answer ranked first", ("iou_first_round", "iou_last_round")),
    ("error of predicted IoU", ("iou_error",)),
    ("learning rate", ("learning_rate",)),
)


class Journal:
    """Averages figures over some steps and appends them to `log.jsonl`.

    Args:
        folder: of the run.
        every_steps: steps that one line sums up.
        step: where the run stands; lines beyond it, of a run that was killed after its last
            saved state, are dropped.
    """

    def __init__(self, folder: Path, every_steps: int, step: int) -> None:
        self._path = folder / LOG_NAME
        self._every_steps = every_steps
        self._pending: list[StepFigures] = []
        self._started = time.perf_counter()
        kept = [line for line in _lines(folder) if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        self._path.write_text(text, encoding="utf-8")

    def add(self, figures: StepFigures) -> dict[str, float] | None:
        """Add a step; returns the line where one was written."""
        self._pending.append(figures)
        if figures.step % self._every_steps:
            return None
        rows = [asdict(f) for f in self._pending]
        line = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        line["step"] = figures.step
        line["seconds_per_step"] = (time.perf_counter() - self._started) / len(rows)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: round(v, 6) for k, v in line.items()}) + "\n")
        self._pending = []
        self._started = time.perf_counter()
        return line

    def say_changed(self, step: int, changes: Mapping[str, tuple[Any, Any]]) -> None:
        """Keep in the log that the run goes on with other values, each before and now."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "changed": changes}) + "\n")


def read_log(folder: Path) -> list[Mapping[str, Any]]:
    """The figures of a run's log."""
    return [line for line in _lines(folder) if "changed" not in line]


def _lines(folder: Path) -> list[Mapping[str, Any]]:
    """The lines of a run's log; a last line that a kill cut off is left out."""
    path = folder / LOG_NAME
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def draw_curves(folder: Path) -> Path | None:
    """Draw a run's curves to `curves.png`; None if there is nothing to draw yet."""
    lines = read_log(folder)
    if len(lines) < 2:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    steps = [line["step"] for line in lines]
    for index, (title, names) in enumerate(CURVES):
        axes = figure.add_subplot(2, 2, index + 1)
        for name in names:
            axes.plot(steps, [line[name] for line in lines], label=name.replace("_", " "))
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if len(names) > 1:
            axes.legend()
    path = folder / CURVES_NAME
    figure.savefig(str(path))
    return path

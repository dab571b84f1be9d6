"""Tables and a plot of an engine's rounds, for docs/experiments: what got better, by how much.

    python benchmarks/rounds_report.py CONFIG_OR_FOLDER [--plot FILE] [--json FILE]

Every figure stands with its 95 % interval by drawing held-out photos again; falls of clicks are
paired, photo by photo.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.rounds.entries import Entry
from engine.rounds.gate import BOOTSTRAP_ROUNDS, MEASURES, Measure
from engine.rounds.ledger import Ledger
from engine.rounds.measured import Measured
from engine.rounds.status import engine_status

SHOWN = ("clicks_85", "clicks_90", "iou_1", "ar_100", "ar_1000")
Interval = tuple[float, float, float]


def main() -> None:
    """Prints the tables, and draws the plot where one is asked for."""
    arguments = _arguments()
    ledger, _ = engine_status(arguments.engine)
    entries = [e for e in ledger.standing if e.step in ("evaluate", "machine-evaluate")]
    measured = {_name(entry): _read(ledger, entry) for entry in entries if entry.outputs}
    in_use = _in_use(ledger)
    table = {name: _figures(one) for name, one in measured.items()}
    for line in _markdown(table):
        print(line)
    first, last = measured["0"], measured[in_use]
    falls = {name: _fall(MEASURES[name], first, last) for name in ("clicks_85", "clicks_90")}
    print(f"\nThe model in use at the end is round {in_use}'s. Clicks of the first model for one")
    for name, (value, low, high) in falls.items():
        print(f"of its clicks, {name}: {value:.2f} ({low:.2f} to {high:.2f})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rounds": table, "falls": falls}, indent=1))
    if arguments.plot:
        _plot(table, arguments.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("engine", help="an engine's configuration or folder")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _name(entry: Entry) -> str:
    return str(entry.round) if entry.step == "evaluate" else "machine alone"


def _read(ledger: Ledger, entry: Entry) -> Measured:
    return Measured.model_validate_json(ledger.folder.read(entry.outputs["evaluation"]))


def _in_use(ledger: Ledger) -> str:
    promotions = [e for e in ledger.standing if e.step == "promote" and e.outputs]
    return str(promotions[-1].round)


def _figures(measured: Measured) -> dict[str, Interval]:
    figures = {name: _estimate(MEASURES[name], measured) for name in SHOWN}
    for name in ("found", "untouched"):
        parts = np.array([(getattr(p, name), p.truths) for p in measured.photos], float)
        figures[name] = _interval(parts)
    return figures


def _estimate(measure: Measure, measured: Measured) -> Interval:
    parts = [measure.of(photo) for photo in measured.photos]
    return _interval(np.array([(part.value, part.weight) for part in parts], float))


def _interval(parts_P2: np.ndarray) -> Interval:
    drawn = _drawn(len(parts_P2))
    sums = parts_P2[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    total = parts_P2.sum(axis=0)
    return float(total[0] / total[1]), float(low), float(high)


def _fall(measure: Measure, first: Measured, last: Measured) -> Interval:
    """How many times fewer, with its paired interval."""
    before, after = (
        np.array([(measure.of(p).value, measure.of(p).weight) for p in one.photos], float)
        for one in (first, last)
    )
    drawn = _drawn(len(before))
    ratios = before[drawn, 0].sum(1) / np.maximum(1e-9, after[drawn, 0].sum(1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(before[:, 0].sum() / after[:, 0].sum()), float(low), float(high)


def _drawn(photos: int) -> np.ndarray:
    return np.random.default_rng(0).integers(photos, size=(BOOTSTRAP_ROUNDS, photos))


def _markdown(table: dict[str, dict[str, Interval]]) -> list[str]:
    names = list(next(iter(table.values())))
    lines = ["| round | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for name, figures in table.items():
        cells = [f"{value:.3f} ({low:.3f}-{high:.3f})" for value, low, high in figures.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _plot(table: dict[str, dict[str, Interval]], path: Path) -> None:
    from matplotlib.figure import Figure

    rounds = [name for name in table if name.isdigit()]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels: list[tuple[str, tuple[str, ...]]] = [
        ("clicks on a held-out mask", ("clicks_85", "clicks_90")),
        ("share of known masks, automatically", ("found", "untouched", "ar_1000")),
    ]
    for place, (title, names) in enumerate(panels):
        axes = figure.add_subplot(1, 2, place + 1)
        for name in names:
            values: Any = np.array([table[number][name] for number in rounds])
            spread = np.abs(values[:, 1:] - values[:, :1]).T
            numbers = [int(number) for number in rounds]
            axes.errorbar(numbers, values[:, 0], yerr=spread, capsize=3, marker="o", label=name)
        axes.set_title(title)
        axes.set_xlabel("round (0: before the first)")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(str(path), dpi=110)


if __name__ == "__main__":
    main()

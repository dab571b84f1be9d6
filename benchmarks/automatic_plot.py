"""Draws what `automatic.py` measured: both times of each case, by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

STEPS: Final = {
    "encoder": "#4477aa",
    "decoder": "#66ccee",
    "upsample and judge": "#ccbb44",
    "filter": "#ee6677",
    "boxes and RLE": "#aa3377",
    "NMS and the rest": "#bbbbbb",
}
_OFFICIAL_ROW, _OWN_ROW, _BAR = 0.0, 0.36, 0.32


def plot(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Two bars a case, its photo above it: the published generator out of the box, and ours."""
    cases = in_order(results)
    figure = Figure(figsize=(8, 1.9 + 0.8 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for row, result in enumerate(cases):
        _draw(axes, row, result)
    axes.set_yticks([row + 0.18 for row in range(len(cases))], [_label(r) for r in cases])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(len(cases) - 0.35, -0.3)
    axes.set_xlabel(
        "seconds a photo: segment-anything above, | with the same allocator; mask-engine below"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.14)
    handles = [axes.barh(0, 0, color=colour, label=step) for step, colour in STEPS.items()]
    figure.legend(handles=handles, fontsize=8, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=120)


def in_order(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The larger photo first; of a photo, the smaller network, and without crops first."""
    return sorted(
        results,
        key=lambda r: (
            -_pixels(r["photo"]),
            r["model"] != "vit_t192",
            r["crop_layers"],
            -r["points_per_side"],
        ),
    )


def crops_of(result: dict[str, Any]) -> str:
    """What follows a network's name."""
    return ", 2x2 crops" if result["crop_layers"] else ""


def grid_of(result: dict[str, Any]) -> str:
    """The grid's points, as `32x32`."""
    return f"{result['points_per_side']}x{result['points_per_side']}"


def _pixels(photo: str) -> int:
    height, width = photo.split("x")
    return int(height) * int(width)


def _draw(axes: Axes, row: int, result: dict[str, Any]) -> None:
    for side, offset in (("official", _OFFICIAL_ROW), ("ours", _OWN_ROW)):
        left = 0.0
        for step, colour in STEPS.items():
            seconds = result["measured"][f"steps_{side}"].get(step, 0.0)
            axes.barh(row + offset, seconds, _BAR, left=left, color=colour)
            left += seconds
        faster = f", {result['ratio']:.1f} x" if side == "ours" else ""
        axes.text(left, row + offset, f" {left:.1f} s{faster}", va="center", fontsize=8)
    tuned = result["official_same_allocator_s"]
    axes.vlines(tuned, row - _BAR / 2, row + _BAR / 2, color="black", linewidth=1.2)


def _label(result: dict[str, Any]) -> str:
    return f"{result['photo']}\n{result['model']}{crops_of(result)}\n{grid_of(result)} points"

"""Draws what `automatic.py` measured: both times of each case, by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

STEPS: Final = {
    "encoder": "#4477aa",
    "decoder": "#66ccee",
    "upsample and judge": "#ccbb44",
    "filter": "#ee6677",
    "boxes and RLE": "#aa3377",
    "NMS and the rest": "#bbbbbb",
}


def plot(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Two bars a case: the published generator out of the box, and ours."""
    figure = Figure(figsize=(8, 1.4 + 0.85 * len(results)), layout="constrained")
    axes = figure.subplots()
    labels = []
    for row, result in enumerate(results):
        for offset, side in ((0.0, "official"), (0.36, "ours")):
            left = 0.0
            for step, colour in STEPS.items():
                seconds = result["measured"][f"steps_{side}"].get(step, 0.0)
                axes.barh(row + offset, seconds, 0.32, left=left, color=colour)
                left += seconds
            axes.text(left, row + offset, f" {left:.1f} s", va="center", fontsize=8)
        crops = ", crops" if result["crop_layers"] else ""
        labels.append(f"{result['photo']}\n{result['model']}{crops}")
    axes.set_yticks([row + 0.18 for row in range(len(results))], labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("seconds a photo: segment-anything above, mask-engine below")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    handles = [axes.barh(0, 0, color=colour, label=step) for step, colour in STEPS.items()]
    figure.legend(handles=handles, fontsize=8, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=120)

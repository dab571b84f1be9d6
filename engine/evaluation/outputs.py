"""What an evaluation leaves: a table for people, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.console import columns
from engine.evaluation.calibration import Calibration
from engine.evaluation.measures import Estimate
from engine.evaluation.run import Evaluation


def table(evaluation: Evaluation) -> list[str]:
    """Lines for the terminal; intervals are 95 %, by photo."""
    measures = evaluation.measures
    rows: list[tuple[str, ...]] = [("", "mIoU", "95 %", "best answer")]
    for clicks, value in measures.miou.items():
        oracle = measures.oracle_miou[clicks]
        name = f"{clicks} click{'s' if clicks > 1 else ''}"
        rows.append((name, f"{value.value:.3f}", _interval(value), f"{oracle.value:.3f}"))
    for name, value in evaluation.baselines.items():
        rows.append((f"{name}, 1 click", f"{value.value:.3f}", _interval(value), ""))
    for name, value in measures.miou_by_size.items():
        rows.append((f"{name}, 1 click", f"{value.value:.3f}", _interval(value), ""))
    lines = columns(rows, indent=0)
    lines.append(f"{measures.n_masks} masks in {measures.n_photos} photos")
    if measures.noc:
        text = ", ".join(f"NoC@{t} {value.value:.2f}" for t, value in measures.noc.items())
        lines.append(f"clicks needed (20 at most): {text}")
    scores = {"predicted IoU": measures.predicted_iou, "stability": measures.stability}
    for name, found in scores.items():
        lines.append(
            f"{name} against true: correlation {found.correlation:.2f} "
            f"(first click {found.correlation_first:.2f})"
        )
    if evaluation.recall:
        text = ", ".join(f"AR@{b} {v:.3f}" for b, v in evaluation.recall.average_recall.items())
        lines.append(f"automatic masks: {text} ({evaluation.recall.masks_per_photo:.0f} a photo)")
    return lines


def as_json(evaluation: Evaluation, about: dict[str, Any]) -> dict[str, Any]:
    """Every figure; plain numbers at the top, intervals under `intervals`.

    Args:
        evaluation: the result.
        about: what was evaluated on what, written as it is.
    """
    measures = evaluation.measures
    document: dict[str, Any] = {
        **about,
        "n_masks": measures.n_masks,
        "n_photos": measures.n_photos,
        "miou": _values(measures.miou),
        "oracle_miou": _values(measures.oracle_miou),
        "noc": _values(measures.noc),
        "miou_by_size": _values(measures.miou_by_size),
        "iou_correlation": round(measures.predicted_iou.correlation, 4),
        "iou_correlation_first_click": round(measures.predicted_iou.correlation_first, 4),
        "stability_correlation": round(measures.stability.correlation, 4),
        "stability_correlation_first_click": round(measures.stability.correlation_first, 4),
        "closed_share": round(measures.closed_share, 4),
        "baselines": {
            name: {"miou": {"1": round(value.value, 4)}}
            for name, value in evaluation.baselines.items()
        },
        "intervals": {
            "miou": _intervals(measures.miou),
            "noc": _intervals(measures.noc),
            "baselines": _intervals(evaluation.baselines),
        },
        "reliability": {
            "predicted_iou": _bins(measures.predicted_iou),
            "stability": _bins(measures.stability),
        },
    }
    if evaluation.recall:
        recall = evaluation.recall
        document["average_recall"] = {
            str(budget): round(value, 4) for budget, value in recall.average_recall.items()
        }
        document["masks_per_photo"] = round(recall.masks_per_photo, 2)
    return document


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a result; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _interval(value: Estimate) -> str:
    return f"{value.low:.3f}-{value.high:.3f}"


def _values(estimates: dict[Any, Estimate]) -> dict[str, float]:
    return {str(key): round(value.value, 4) for key, value in estimates.items()}


def _intervals(estimates: dict[Any, Estimate]) -> dict[str, list[float]]:
    return {str(k): [round(v.low, 4), round(v.high, 4)] for k, v in estimates.items()}


def _bins(calibration: Calibration) -> list[dict[str, float]]:
    return [
        {"said": round(b.said, 4), "true_iou": round(b.true_iou, 4), "answers": b.answers}
        for b in calibration.bins
    ]

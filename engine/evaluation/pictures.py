"""Pictures of an evaluation: curves by clicks, reliability of scores, a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.run import Case, Evaluation
from engine.training.overlays import write_png
from stages import rle
from stages.photos import decode_photo

TILE_PX = 240
TILES_EACH = 6
TRUTH_RGB = (60, 180, 75)
ANSWER_RGB = (230, 60, 60)


def write_pictures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write `clicks.png`, `reliability.png` and `cases.png`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("clicks.png", "reliability.png", "cases.png")]
    _draw_clicks(evaluation, paths[0])
    _draw_reliability(evaluation, paths[1])
    write_png(paths[2], contact_sheet(evaluation.cases))
    return paths


def contact_sheet(cases: Sequence[Case]) -> NDArray[np.uint8]:
    """Rows of the best, the median and the worst cases after one click.

    Truth is outlined green, the answer red; both are cut to the surroundings of the object.
    """
    ranked = sorted(cases, key=lambda case: -case.clicked.iou[0])
    middle = max(0, len(ranked) // 2 - TILES_EACH // 2)
    groups = (ranked[:TILES_EACH], ranked[middle : middle + TILES_EACH], ranked[-TILES_EACH:])
    return np.concatenate([_row(group) for group in groups], axis=0)


def _row(cases: Sequence[Case]) -> NDArray[np.uint8]:
    tiles = [_tile(case) for case in cases]
    blank = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
    return np.concatenate([*tiles, *[blank] * (TILES_EACH - len(tiles))], axis=1)


def _tile(case: Case) -> NDArray[np.uint8]:
    image = decode_photo(case.photo.path.read_bytes()).pixels_HWC.copy()
    truth = case.photo.masks[case.mask_index].mask()
    answer = rle.decode(case.clicked.first_mask)
    width = max(1, round(max(image.shape[:2]) / 250))
    for mask, colour in ((truth, TRUTH_RGB), (answer, ANSWER_RGB)):
        outlines, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(image, outlines, -1, colour, width)
    left, top, box_w, box_h = cv2.boundingRect(truth.astype(np.uint8))
    side = max(48, round(2.2 * max(box_w, box_h)))
    x0 = int(np.clip(left + box_w / 2 - side / 2, 0, max(0, image.shape[1] - side)))
    y0 = int(np.clip(top + box_h / 2 - side / 2, 0, max(0, image.shape[0] - side)))
    piece = image[y0 : y0 + side, x0 : x0 + side]
    scale = TILE_PX / max(piece.shape[:2])
    size_wh = (max(1, int(piece.shape[1] * scale)), max(1, int(piece.shape[0] * scale)))
    tile = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
    tile[: size_wh[1], : size_wh[0]] = cv2.resize(piece, size_wh, interpolation=cv2.INTER_AREA)
    label = f"{case.clicked.iou[0]:.2f}"
    cv2.putText(tile, label, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 3)
    cv2.putText(tile, label, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    return tile


def _draw_clicks(evaluation: Evaluation, path: Path) -> None:
    from matplotlib.figure import Figure

    measures = evaluation.measures
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    clicks = list(measures.miou)
    axes.plot(clicks, [measures.miou[k].value for k in clicks], marker="o", label="ranked first")
    axes.fill_between(
        clicks,
        [measures.miou[k].low for k in clicks],
        [measures.miou[k].high for k in clicks],
        alpha=0.2,
    )
    axes.plot(
        clicks, [measures.oracle_miou[k].value for k in clicks], marker="o", label="best answer"
    )
    for name, value in evaluation.baselines.items():
        axes.plot([1], [value.value], marker="x", linestyle="none", label=name)
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(str(path))


def _draw_reliability(evaluation: Evaluation, path: Path) -> None:
    """Predicted IoU and stability side by side; a larger dot stands for more answers."""
    from matplotlib.figure import Figure

    measures = evaluation.measures
    scores = {"predicted IoU": measures.predicted_iou, "stability": measures.stability}
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    for axes, (name, found) in zip(figure.subplots(1, 2, sharey=True), scores.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.scatter(
            [b.said for b in found.bins],
            [b.true_iou for b in found.bins],
            s=[20 + 2 * b.answers**0.5 for b in found.bins],
        )
        axes.set(xlabel=name, xlim=(0, 1), ylim=(0, 1))
        axes.set_title(
            f"correlation {found.correlation:.2f} (first click {found.correlation_first:.2f})"
        )
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("true IoU")
    figure.savefig(str(path))

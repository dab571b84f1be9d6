"""Sample pictures of a run: what single clicks get, beside what they should get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.training.examples import TrainingExample

COLOURS_RGB = ((230, 60, 60), (60, 180, 75), (60, 100, 230), (240, 180, 40), (170, 70, 200))


def overlay_sheet(
    examples: Sequence[TrainingExample], answers: Sequence[Sequence[NDArray[np.bool_]]]
) -> NDArray[np.uint8]:
    """One row an example: the picture, the true masks with their clicks, and the answers."""
    rows = []
    for example, masks in zip(examples, answers, strict=True):
        truth = paint(example.image_SSC, list(example.masks_MSS), example.points_M2)
        answer = paint(example.image_SSC, masks, example.points_M2)
        rows.append(np.concatenate([example.image_SSC, truth, answer], axis=1))
    return np.concatenate(rows, axis=0)


def paint(
    image_HWC: NDArray[np.uint8],
    masks: Sequence[NDArray[np.bool_]],
    points_xy: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Masks in colours over a picture, each with its click."""
    painted = image_HWC.copy()
    for index, mask in enumerate(masks):
        colour = np.array(COLOURS_RGB[index % len(COLOURS_RGB)])
        painted[mask] = (0.5 * painted[mask] + 0.5 * colour).astype(np.uint8)
    for index, (x, y) in enumerate(points_xy):
        colour_rgb = COLOURS_RGB[index % len(COLOURS_RGB)]
        cv2.circle(painted, (round(float(x)), round(float(y))), 4, (255, 255, 255), -1)
        cv2.circle(painted, (round(float(x)), round(float(y))), 3, colour_rgb, -1)
    return painted


def write_png(path: Path, image_HWC: NDArray[np.uint8]) -> None:
    """Write an RGB picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR))

"""Simulated clicks: where a person would click on an object, or on a prediction's worst error.

One implementation for training, evaluation and the simulated annotator. numpy and cv2, no torch.
Points are (x, y) in pixels of the mask, the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from model.prompts import NEGATIVE, POSITIVE

Mask: TypeAlias = NDArray[np.bool_]
PointXY: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Click:
    """One click: `label` is 1 on the object, 0 beside it."""

    point_xy: PointXY
    label: int


def innermost_point(mask_HW: Mask) -> PointXY:
    """The pixel farthest from the mask's outline; the image's border counts as outline.

    Raises:
        ValueError: the mask is empty.
    """
    distance_HW = _distance_to_outline(mask_HW)
    row, column = np.unravel_index(int(distance_HW.argmax()), distance_HW.shape)
    return int(column), int(row)


def random_point(mask_HW: Mask, rng: np.random.Generator) -> PointXY:
    """A pixel of the mask, all equally likely.

    Raises:
        ValueError: the mask is empty.
    """
    flat = np.flatnonzero(mask_HW)
    if not len(flat):
        raise ValueError("no click on an empty mask: leave such masks out")
    row, column = divmod(int(flat[rng.integers(len(flat))]), mask_HW.shape[1])
    return column, row


def next_click(
    predicted_HW: Mask,
    truth_HW: Mask,
    *,
    ignored_HW: Mask | None = None,
    clicked: Iterable[PointXY] = (),
) -> Click | None:
    """The evaluation protocol's next click: the innermost point of the largest error.

    Of the largest missed region and the largest wrongly covered one, the region that reaches
    deeper is taken (as RITM and its predecessors do: distance, not area). No pixel is clicked
    twice: where a click changed nothing, the same one again would tell nothing new.

    Args:
        predicted_HW: what the model answered.
        truth_HW: what it should have answered.
        ignored_HW: pixels that count for neither side.
        clicked: pixels that were clicked before.

    Returns:
        The click, or None if there is no error but on pixels that were clicked.
    """
    before = list(clicked)
    missed_HW, surplus_HW = _errors(predicted_HW, truth_HW, ignored_HW)
    best: Click | None = None
    deepest = 0.0
    for error_HW, label in ((missed_HW, POSITIVE), (surplus_HW, NEGATIVE)):
        if not error_HW.any():
            continue
        distance_HW = _distance_to_outline(error_HW)
        for x, y in before:
            distance_HW[y, x] = 0
        depth = float(distance_HW.max())
        if depth > deepest:
            row, column = np.unravel_index(int(distance_HW.argmax()), distance_HW.shape)
            deepest, best = depth, Click((int(column), int(row)), label)
    return best


def random_error_click(
    predicted_HW: Mask, truth_HW: Mask, rng: np.random.Generator
) -> Click | None:
    """The training paper's next click: any pixel of the error, all equally likely."""
    error_HW = predicted_HW != truth_HW
    if not error_HW.any():
        return None
    x, y = random_point(error_HW, rng)
    return Click((x, y), POSITIVE if truth_HW[y, x] else NEGATIVE)


def _errors(predicted_HW: Mask, truth_HW: Mask, ignored_HW: Mask | None) -> tuple[Mask, Mask]:
    missed_HW = truth_HW & ~predicted_HW
    surplus_HW = predicted_HW & ~truth_HW
    if ignored_HW is not None:
        missed_HW, surplus_HW = missed_HW & ~ignored_HW, surplus_HW & ~ignored_HW
    return missed_HW, surplus_HW


def _distance_to_outline(mask_HW: Mask) -> NDArray[np.float32]:
    if not mask_HW.any():
        raise ValueError("no innermost point in an empty mask: leave such masks out")
    # A frame of zeros makes the image's border an outline too.
    framed = np.pad(mask_HW.astype(np.uint8), 1)
    distance = cv2.distanceTransform(framed, cv2.DIST_L2, 5)
    return np.asarray(distance[1:-1, 1:-1], np.float32)

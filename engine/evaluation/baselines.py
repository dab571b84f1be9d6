"""Classical answers to one click, for comparison: a Felzenszwalb region, and GrabCut from a disc.

Both work on the photo at `BASELINE_SIDE_PX`, where their parameters were chosen; their answers are
brought back to the photo's own size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigurationError

BASELINE_SIDE_PX = 256
GRABCUT_ROUNDS = 5
DISC_SHARE = 0.02
"""Radius of the disc that surely belongs to the object, as a share of the longest side.

The best of 0.01, 0.015, 0.02, 0.03 and 0.05 on training photos of nuclei and of everyday things.
"""
WIDE_DISC_SHARE = 0.05
"""For photos of one large thing: no one disc suits these and small things."""

AnswerClicks: TypeAlias = Callable[
    [NDArray[np.uint8], list[tuple[int, int]]], list[NDArray[np.bool_]]
]


def baseline(name: str) -> AnswerClicks:
    """The baseline of that name.

    Raises:
        ConfigurationError: there is none.
    """
    known: dict[str, AnswerClicks] = {
        "felzenszwalb": felzenszwalb,
        "grabcut": partial(grabcut, disc_share=DISC_SHARE),
        "grabcut-wide": partial(grabcut, disc_share=WIDE_DISC_SHARE),
    }
    if name not in known:
        raise ConfigurationError(f"unknown baseline {name!r}: expected {', '.join(known)}")
    return known[name]


def felzenszwalb(
    image_HWC: NDArray[np.uint8], points_xy: list[tuple[int, int]]
) -> list[NDArray[np.bool_]]:
    """The region of even colour under each click (Felzenszwalb and Huttenlocher 2004)."""
    from skimage.segmentation import felzenszwalb as segment

    small = _shrink(image_HWC)
    labels = segment(small, scale=200, sigma=0.8, min_size=30)
    answers = []
    for x, y in _scaled(points_xy, image_HWC, small):
        answers.append(_enlarge(labels == labels[y, x], image_HWC))
    return answers


def grabcut(
    image_HWC: NDArray[np.uint8], points_xy: list[tuple[int, int]], *, disc_share: float
) -> list[NDArray[np.bool_]]:
    """OpenCV's GrabCut (Rother et al. 2004), told that a disc at the click is the object.

    Up to three radii it is "probably" so; everything else is "probably background" but for the
    outermost pixels, which surely are.
    """
    small = _shrink(image_HWC)
    return [
        _enlarge(_grabcut_once(small, point, disc_share), image_HWC)
        for point in _scaled(points_xy, image_HWC, small)
    ]


def _grabcut_once(
    image_HWC: NDArray[np.uint8], point_xy: tuple[int, int], disc_share: float
) -> NDArray[np.bool_]:
    height, width = image_HWC.shape[:2]
    radius = max(2, round(disc_share * max(height, width)))
    state = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    cv2.circle(state, point_xy, 3 * radius, int(cv2.GC_PR_FGD), -1)
    cv2.circle(state, point_xy, radius, int(cv2.GC_FGD), -1)
    state[[0, -1]] = cv2.GC_BGD
    state[:, [0, -1]] = cv2.GC_BGD
    state[point_xy[1], point_xy[0]] = cv2.GC_FGD
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            np.ascontiguousarray(image_HWC[..., ::-1]),
            state,
            (0, 0, 0, 0),
            background,
            foreground,
            GRABCUT_ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:
        # Too few pixels on one side for its colour model: the disc is all that is known.
        return np.asarray(state == cv2.GC_FGD)
    answer: NDArray[np.bool_] = (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)
    return _part_with(answer, point_xy)


def _part_with(mask: NDArray[np.bool_], point_xy: tuple[int, int]) -> NDArray[np.bool_]:
    """Only the connected part under the click: the others are other things of like colour."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    label = labels[point_xy[1], point_xy[0]]
    part: NDArray[np.bool_] = labels == label if label else mask
    return part


def _shrink(image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image_HWC.shape[:2]
    scale = min(1.0, BASELINE_SIDE_PX / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image_HWC, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _scaled(
    points_xy: list[tuple[int, int]], image: NDArray[np.uint8], small: NDArray[np.uint8]
) -> list[tuple[int, int]]:
    scale_x, scale_y = small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]
    return [
        (
            min(int((x + 0.5) * scale_x), small.shape[1] - 1),
            min(int((y + 0.5) * scale_y), small.shape[0] - 1),
        )
        for x, y in points_xy
    ]


def _enlarge(mask: NDArray[np.bool_], image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    size_wh = (image.shape[1], image.shape[0])
    soft = cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    enlarged: NDArray[np.bool_] = soft > 0.5
    return enlarged

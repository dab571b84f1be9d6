"""A mask's outline as a polygon region: what the page shows quickly, however many there are.

The page needs over a minute to open a hundred brush masks, seconds for as many polygons. A polygon
cannot hold a mask's pixels, so it stands for a mask that is kept elsewhere: while nobody moves a
point, that very mask is meant, and when somebody does, only what they moved changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]

# Raised whenever the same mask would get another outline than before.
OUTLINE_VERSION: Final = 1
MOST_POINTS: Final = 40
FINEST_PX: Final = 1.0
# In percent of the photo's sides: what the page does to a number that nobody touched is far less.
UNTOUCHED_PERCENT: Final = 0.005
_DECIMALS: Final = 4
_SUBPIXEL_BITS: Final = 4


def outline_of(mask_HW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(K, 2) corners, in percent of the photo, of a mask's largest part; at most 40 of them.

    Raises:
        ValueError: if the mask is empty.
    """
    contours, _ = cv2.findContours(
        mask_HW.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if not contours:
        raise ValueError("an empty mask has no outline")
    largest = max(contours, key=lambda contour: (cv2.contourArea(contour), len(contour)))
    tolerance, corners = FINEST_PX, cv2.approxPolyDP(largest, FINEST_PX, closed=True)
    while len(corners) > MOST_POINTS:
        tolerance *= 1.3
        corners = cv2.approxPolyDP(largest, tolerance, closed=True)
    points = np.asarray(corners, np.float64).reshape(-1, 2) + 0.5
    if len(points) < 3:  # a dot or a line: a small triangle can be seen and clicked
        points = points[0] + np.array([[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5]])
    height, width = mask_HW.shape
    return np.round(points / (width, height) * 100, _DECIMALS)


def polygon_region(
    region_id: str,
    mask_HW: NDArray[np.bool_],
    *,
    control: str,
    shown_on: str,
    label: str,
    score: float | None,
) -> Json:
    """The outline as the page reads it."""
    height, width = mask_HW.shape
    region: Json = {
        "id": region_id,
        "type": "polygonlabels",
        "from_name": control,
        "to_name": shown_on,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            "points": outline_of(mask_HW).tolist(),
            "closed": True,
            "polygonlabels": [label],
        },
    }
    return region if score is None else region | {"score": round(score, 4)}


def points_of(region: Mapping[str, Any]) -> NDArray[np.float64]:
    """(K, 2) corners of a polygon region, in percent.

    Raises:
        ValueError: if it has none that make an area.
    """
    value = region.get("value")
    points = value.get("points") if isinstance(value, Mapping) else None
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        corners = np.zeros(0)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError("the polygon has fewer than three corners")
    if not np.isfinite(corners).all() or np.abs(corners).max() > 1000:
        raise ValueError("the polygon has corners that are nowhere")
    return corners


def is_untouched(corners: NDArray[np.float64], outline: NDArray[np.float64]) -> bool:
    """Whether a polygon that came back is the one that was sent."""
    return corners.shape == outline.shape and bool(
        (np.abs(corners - outline) <= UNTOUCHED_PERCENT).all()
    )


def filled(corners: NDArray[np.float64], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) pixels inside a polygon, its border among them."""
    height, width = size_hw
    pixels = corners / 100 * (width, height) - 0.5
    fixed = np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    canvas = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(canvas, [fixed], 1, shift=_SUBPIXEL_BITS)
    return canvas.astype(bool)


def corrected(
    mask_HW: NDArray[np.bool_], sent: NDArray[np.float64], now: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The mask with what somebody did to its outline: pixels that they moved over, no others.

    Holes, second parts and edges finer than the polygon stay where nobody touched it.
    """
    size_hw = (mask_HW.shape[0], mask_HW.shape[1])
    before, after = filled(sent, size_hw), filled(now, size_hw)
    return (mask_HW | (after & ~before)) & ~(before & ~after)


def label_of(region: Mapping[str, Any]) -> str:
    """The label of a polygon or brush region, empty where it has none."""
    value = region.get("value")
    if not isinstance(value, Mapping):
        return ""
    names = value.get("polygonlabels") or value.get("brushlabels")
    return str(names[0]) if isinstance(names, list) and names else ""

"""One mask as a picture: the photo with its outline, and beside it the mask from near."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.records import MaskRecord
from stages.rle import decode

SIDE_PX: Final = 620
GAP_PX: Final = 12
LINE_RGB: Final = (255, 60, 40)
HALO_RGB: Final = (255, 255, 255)
TINT: Final = 0.35
# Around the mask's box in the near view, as a share of its longer side.
MARGIN: Final = 0.35


def picture_of(image_HWC: NDArray[np.uint8], mask: MaskRecord) -> NDArray[np.uint8]:
    """RGB, both views side by side, each fitted into a square of `SIDE_PX`.

    Args:
        image_HWC: the upright photo.
        mask: of this photo.

    Raises:
        ValueError: if the mask has another size than the photo.
    """
    inside_HW = decode(mask.segmentation)
    if inside_HW.shape != image_HWC.shape[:2]:
        raise ValueError(f"mask {mask.mask_id} is of another size than its photo")
    whole = _fitted(image_HWC, inside_HW, tint=TINT)
    window = _near(mask, image_HWC.shape[:2])
    near = _fitted(image_HWC[window], inside_HW[window], tint=0.0)
    gap = np.full((SIDE_PX, GAP_PX, 3), 255, np.uint8)
    return np.concatenate([whole, gap, near], axis=1)


def _near(mask: MaskRecord, image_hw: tuple[int, ...]) -> tuple[slice, slice]:
    """The window around a mask, cut off where the photo ends."""
    left, top, width, height = mask.bbox
    margin = MARGIN * max(width, height) + 2
    columns = slice(max(0, int(left - margin)), min(image_hw[1], int(left + width + margin) + 1))
    rows = slice(max(0, int(top - margin)), min(image_hw[0], int(top + height + margin) + 1))
    return rows, columns


def _fitted(
    image_HWC: NDArray[np.uint8], inside_HW: NDArray[np.bool_], *, tint: float
) -> NDArray[np.uint8]:
    """A view scaled into the square, with the mask's outline drawn at the square's resolution."""
    height, width = inside_HW.shape
    scale = SIDE_PX / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    view = np.array(cv2.resize(np.ascontiguousarray(image_HWC), size_wh, interpolation=how))
    scaled = cv2.resize(inside_HW.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    shape = (scaled >= 0.5).astype(np.uint8)
    if tint:
        view[shape > 0] = (view[shape > 0] * (1 - tint) + np.array(LINE_RGB) * tint).astype(
            np.uint8
        )
    contours, _ = cv2.findContours(shape, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(view, contours, -1, HALO_RGB, 4, cv2.LINE_AA)
    cv2.drawContours(view, contours, -1, LINE_RGB, 2, cv2.LINE_AA)
    canvas = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    top, left = (SIDE_PX - size_wh[1]) // 2, (SIDE_PX - size_wh[0]) // 2
    canvas[top : top + size_wh[1], left : left + size_wh[0]] = view
    return canvas

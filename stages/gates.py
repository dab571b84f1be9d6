"""Keep a proposal, or drop it for a reason that is counted."""

from __future__ import annotations

from typing import Final

from stages.crops import Crop
from stages.parameters import AutomaticParameters

BELOW_PREDICTED_IOU: Final = "below_predicted_iou"
EMPTY: Final = "empty"
BELOW_STABILITY: Final = "below_stability"
COVERS_IMAGE: Final = "covers_image"
TOUCHES_CROP_EDGE: Final = "touches_crop_edge"
DUPLICATE_IN_CROP: Final = "duplicate_in_crop"
DUPLICATE_ACROSS_CROPS: Final = "duplicate_across_crops"
TOO_SMALL: Final = "too_small"
SAME_AFTER_CLEANUP: Final = "same_after_cleanup"

# In the order in which a proposal meets them.
DROP_REASONS: Final = (
    BELOW_PREDICTED_IOU,
    EMPTY,
    BELOW_STABILITY,
    COVERS_IMAGE,
    TOUCHES_CROP_EDGE,
    DUPLICATE_IN_CROP,
    DUPLICATE_ACROSS_CROPS,
    TOO_SMALL,
    SAME_AFTER_CLEANUP,
)


def rejection(
    *,
    box_xyxy: tuple[int, int, int, int],
    area_px: int,
    crop: Crop,
    image_hw: tuple[int, int],
    parameters: AutomaticParameters,
) -> str | None:
    """Why a stable mask's extent is not wanted, or None to keep it.

    Args:
        box_xyxy: in the image; right and bottom are exclusive.
        area_px: pixels inside.
        crop: where it was proposed.
        image_hw: of the upright original.
        parameters: the limits.
    """
    if not area_px:
        return EMPTY
    if area_px >= parameters.max_image_share * image_hw[0] * image_hw[1]:
        return COVERS_IMAGE
    if touches_inner_edge(box_xyxy, crop, image_hw, parameters.crop_edge_tolerance_px):
        return TOUCHES_CROP_EDGE
    return None


def touches_inner_edge(
    box_xyxy: tuple[int, int, int, int],
    crop: Crop,
    image_hw: tuple[int, int],
    tolerance_px: int,
) -> bool:
    """Whether a side is near the crop's border and that border is not near the image's.

    The paper drops masks that touch a crop's inner border. The tolerance (20 px) is the released
    code's, and so is measuring from a mask's last pixels, not from behind them.
    """
    left, top, right, bottom = box_xyxy
    sides = (left, top, right - 1, bottom - 1)
    crop_sides = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    image_sides = (0, 0, image_hw[1], image_hw[0])
    return any(
        abs(side - crop_side) <= tolerance_px < abs(side - image_side)
        for side, crop_side, image_side in zip(sides, crop_sides, image_sides, strict=True)
    )

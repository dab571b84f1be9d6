"""What steers the stages that propose masks; the descriptions are the command line's help."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

PAPER_MIN_PREDICTED_IOU: Final = 0.88
PAPER_MIN_STABILITY: Final = 0.95


class GateParameters(BaseModel):
    """Which masks are kept, and how they are cleaned: the same whatever prompted them.

    The two thresholds that depend on the checkpoint may be left open.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    min_predicted_iou: float | None = Field(
        default=None, description="Keep masks whose predicted IoU is at least this."
    )
    min_stability: float | None = Field(
        default=None, ge=0, le=1, description="Keep masks whose stability score is at least this."
    )
    max_image_share: float = Field(
        default=0.95, gt=0, description="Drop masks that cover this share of the photo or more."
    )
    min_region_area_px: int = Field(
        default=100, ge=0, description="Remove islands and fill holes smaller than this; 0: none."
    )
    nesting_containment: float = Field(
        default=0.9, gt=0.5, le=1, description="A mask with this share inside another is its part."
    )


class AutomaticParameters(GateParameters):
    """Grid, crops, gates and clean-up of the fully automatic stage (paper, appendix B).

    Lengths and areas are pixels of the upright original. `presets.parameters_for` settles the two
    thresholds before any work.
    """

    points_per_side: int = Field(
        default=32, ge=1, le=256, description="Points on each side of the whole photo's grid."
    )
    crop_layers: int = Field(
        default=0, ge=0, le=4, description="Layers of crops: 1 is 2x2, 2 is 2x2 and 4x4, ..."
    )
    crop_overlap: float = Field(
        default=512 / 1500,
        ge=0,
        lt=1,
        description="Overlap of 2x2 crops as a share of the photo's short side; halves by layer.",
    )
    crop_points_downscale: int = Field(
        default=2, ge=1, le=8, description="The grid's side is divided by this with each layer."
    )
    stability_offset: float = Field(
        default=1.0, gt=0, description="Stability compares the masks at logits +offset, -offset."
    )
    crop_edge_tolerance_px: int = Field(
        default=20, ge=0, description="A mask this near a crop's inner border is cut by it: drop."
    )
    nms_iou: float = Field(
        default=0.7, ge=0, le=1, description="In a crop: of two boxes above this IoU, keep one."
    )
    crop_nms_iou: float = Field(
        default=0.7, ge=0, le=1, description="Across crops: of two boxes above this, keep one."
    )
    crops_per_batch: int = Field(
        default=1, ge=1, description="Crops that the image encoder takes at once; more for GPUs."
    )
    prompts_per_batch: int = Field(
        default=64, ge=1, description="Points that a thread asks the model about at once."
    )

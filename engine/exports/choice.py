"""Which masks an export takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stages.records import MaskRecord
from stages.selection import SELECTIONS


class MaskChoice(BaseModel):
    """The masks that an export takes; scores are judged first, nesting and overlap after."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    masks: Literal["all", "leaves", "no-overlap"] = Field(
        default="all",
        description="all; leaves (no other mask nested in them); no-overlap (smallest on top).",
    )
    min_predicted_iou: float | None = Field(
        default=None, description="Leave out masks whose predicted IoU is below this."
    )
    min_stability: float | None = Field(
        default=None, description="Leave out masks whose stability score is below this."
    )
    min_area_px: int = Field(default=0, ge=0, description="Leave out masks smaller than this.")

    def of(self, masks: Sequence[MaskRecord]) -> tuple[MaskRecord, ...]:
        """The chosen masks of one photo, in their order; masks without scores pass the scores."""
        return SELECTIONS[self.masks]([mask for mask in masks if self._passes(mask)])

    def _passes(self, mask: MaskRecord) -> bool:
        return (
            mask.area >= max(1, self.min_area_px)
            and _reaches(mask.predicted_iou, self.min_predicted_iou)
            and _reaches(mask.stability_score, self.min_stability)
        )


def _reaches(score: float | None, limit: float | None) -> bool:
    return score is None or limit is None or score >= limit

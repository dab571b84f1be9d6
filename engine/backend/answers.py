"""The backend's answers in Label Studio's form: a brush mask as one region, or nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from engine.backend.label_set_up import LabelSetUp
from engine.label_studio.brush import encode_brush_patch
from engine.label_studio.brush_region import brush_region
from stages.cleanup import MaskPatch

Json = dict[str, Any]


@dataclass(frozen=True)
class MaskRegion:
    """A mask on its way to the labelling page.

    Attributes:
        region_id: a new id; the page keeps it when the mask is accepted, which is how the log of
            prompts is tied to it later.
        patch: the mask's pixels and their place.
        size_hw: of the photo.
        label: of the mask.
        score: the model's own estimate of its IoU.
    """

    region_id: str
    patch: MaskPatch
    size_hw: tuple[int, int]
    label: str
    score: float

    def as_json(self, set_up: LabelSetUp) -> Json:
        """The region as the page reads it."""
        left_top = self.patch.left, self.patch.top
        region = brush_region(
            self.region_id,
            encode_brush_patch(self.patch.inside_HW, left_top, self.size_hw),
            self.size_hw,
            control=set_up.mask_control,
            shown_on=set_up.image_control,
            label=self.label,
        )
        return region | {"score": self.score}


def new_region_id() -> str:
    """32 hex digits that no other region has."""
    return uuid.uuid4().hex


# The answer where a task is opened. A prediction, even an empty one, would be kept by the server,
# which then asks no more for this task, so that opening it again would not be noticed.
NO_PREDICTION: Final[list[Json]] = []


def nothing(model_id: str) -> Json:
    """The answer where nothing was asked: the task stays as it is."""
    return {"result": [], "score": 0.0, "model_version": model_id}


def one_mask(region: MaskRegion, set_up: LabelSetUp, model_id: str) -> Json:
    """The answer to prompts about one object."""
    return {
        "result": [region.as_json(set_up)],
        "score": region.score,
        "model_version": model_id,
    }

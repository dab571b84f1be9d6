"""The semi-automatic stage's masks: a detector's boxes ask, gates and NMS keep the confident ones.

What is kept prefills a person's task, who adds what is missing (paper, section 4). The gates, the
NMS and the clean-up are those of the automatic stage; only the prompts come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model.boxes import BoxDetector
from model.prompts import Prompt
from model.segmenter import PromptableSegmenter
from stages import gates, ids, rle
from stages.automatic import AutomaticMasks
from stages.candidates import Candidate, CandidateGate, without_duplicates
from stages.cleanup import MaskPatch
from stages.crops import Crop
from stages.finishing import finished
from stages.nesting import nest
from stages.parameters import AutomaticParameters, GateParameters
from stages.presets import resolve_thresholds
from stages.records import Box, MaskRecord, PromptRecord
from stages.tally import Tally

SEMI_AUTOMATIC: Final = "semi_automatic"
DETECTOR: Final = "detector"
TOO_MANY: Final = "too_many"


class SemiAutomaticParameters(GateParameters):
    """Which boxes are asked about, and which masks prefill a task."""

    min_box_score: float = Field(
        default=0.3, ge=0, le=1, description="Boxes that the detector is less sure of are ignored."
    )
    most_masks: int = Field(
        default=100, ge=1, le=1000, description="Masks that prefill a photo's task, the surest."
    )
    nms_iou: float = Field(
        default=0.7, ge=0, le=1, description="Of two masks whose boxes overlap more, keep one."
    )

    def settled(self, recommended: Mapping[str, float] | None) -> SemiAutomaticParameters:
        """With both thresholds: the user's, else the checkpoint's advice, else the paper's."""
        user = {k: v for k, v in self.model_dump().items() if v is not None}
        chosen = resolve_thresholds("default", user, recommended)
        return self.model_copy(
            update={"min_predicted_iou": chosen.predicted_iou, "min_stability": chosen.stability}
        )

    def as_gates(self) -> AutomaticParameters:
        """What the automatic stage's gates are to be told."""
        shared = self.model_dump(include=set(GateParameters.model_fields))
        return AutomaticParameters(nms_iou=self.nms_iou, **shared)


def propose_from_boxes(
    segmenter: PromptableSegmenter,
    detector: BoxDetector,
    image_HWC: NDArray[np.uint8],
    *,
    image_id: str,
    parameters: SemiAutomaticParameters,
) -> AutomaticMasks:
    """Makes the confident masks of one photo. Same inputs, same masks, ids and order.

    Args:
        segmenter: the model.
        detector: trained on this model's embeddings.
        image_HWC: upright RGB in original resolution.
        image_id: `ids.image_id` of the photo.
        parameters: with both thresholds settled.

    Raises:
        ValueError: if a threshold was left open, or the detector belongs to another model.
    """
    if parameters.min_predicted_iou is None or parameters.min_stability is None:
        raise ValueError("a threshold is open: call `settled` first")
    tally = Tally()
    height, width = image_HWC.shape[:2]
    with tally.timed("embed"):
        embedding = segmenter.embed(image_HWC)
    with tally.timed("detect"):
        found = detector.find(embedding)
    boxes_xyxy = found.boxes_xyxy[found.scores >= parameters.min_box_score]
    candidates: list[Candidate] = []
    if len(boxes_xyxy):
        with tally.timed("decode"):
            proposals = segmenter.segment(
                embedding,
                [Prompt.of(box_xyxy=box) for box in boxes_xyxy.tolist()],
                multimask=False,
                min_predicted_iou=parameters.min_predicted_iou,
            )
        tally.proposals = proposals.predicted_iou.size
        tally.drop(gates.BELOW_PREDICTED_IOU, tally.proposals - len(proposals.index))
        crop = Crop(0, 0, width, height, 0)
        gate = CandidateGate(crop, (height, width), parameters.as_gates(), tally)
        centres_xy = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
        candidates = gate.pass_on(proposals, centres_xy.astype(np.float32))
    with tally.timed("nms"):
        ranked = sorted(candidates, key=lambda candidate: -candidate.predicted_iou)
        kept = without_duplicates(ranked, parameters.nms_iou, gates.DUPLICATE_IN_CROP, tally)
    maker = _Maker(image_id, (height, width), segmenter.model_id, boxes_xyxy)
    masks = finished(kept, maker.record, (height, width), parameters.min_region_area_px, tally)
    tally.drop(TOO_MANY, max(0, len(masks) - parameters.most_masks))
    with tally.timed("nesting"):
        nested = nest(masks[: parameters.most_masks], parameters.nesting_containment)
    return AutomaticMasks(nested, tally.proposals, dict(tally.dropped), dict(tally.seconds))


@dataclass(frozen=True, eq=False)
class _Maker:
    """What all masks of a photo share."""

    image_id: str
    size_hw: tuple[int, int]
    model_id: str
    boxes_xyxy: NDArray[np.float32]

    def record(self, candidate: Candidate, cleaned: MaskPatch) -> MaskRecord:
        segmentation = rle.encode_patch(
            cleaned.inside_HW, (cleaned.left, cleaned.top), self.size_hw
        )
        left, top, right, bottom = self.boxes_xyxy[candidate.prompt].tolist()
        box: Box = (left, top, right, bottom)
        return MaskRecord(
            mask_id=ids.mask_id(
                self.image_id,
                self.size_hw,
                segmentation.counts,
                origin=DETECTOR,
                maker=self.model_id,
            ),
            segmentation=segmentation,
            bbox=rle.bbox_xywh(segmentation),
            area=rle.area_px(segmentation),
            origin=DETECTOR,
            predicted_iou=candidate.predicted_iou,
            stability_score=candidate.stability,
            crop_box=candidate.crop.box_xywh,
            prompt=PromptRecord(box_xyxy=box),
            model_id=self.model_id,
        )

"""The fully automatic stage: a grid of clicks, nobody to confirm (paper, section 4, appendix B).

Crops, three masks a point, gates on predicted IoU, stability and extent, box NMS in a crop and
then across crops, islands and holes: in the paper's order. Whatever is dropped is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.segmenter import PromptableSegmenter, embed_several
from stages import gates, ids, rle
from stages.candidates import Candidate, candidates_in_crop, without_duplicates
from stages.cleanup import MaskPatch
from stages.crops import crops_of
from stages.finishing import finished
from stages.nesting import nest
from stages.parameters import AutomaticParameters
from stages.records import AUTOMATIC, MaskRecord
from stages.tally import Tally

__all__ = ["AutomaticMasks", "AutomaticParameters", "propose_masks"]


@dataclass(frozen=True)
class AutomaticMasks:
    """What became of one photo.

    Attributes:
        masks: by predicted IoU, the highest first.
        proposals: masks that the model was asked for.
        dropped: by reason (`gates.DROP_REASONS`); proposals = masks + all of these.
        seconds: by step.
    """

    masks: tuple[MaskRecord, ...]
    proposals: int
    dropped: dict[str, int]
    seconds: dict[str, float]

    def __post_init__(self) -> None:
        accounted = len(self.masks) + sum(self.dropped.values())
        if accounted != self.proposals:
            raise RuntimeError(
                f"{self.proposals} proposals, but {len(self.masks)} kept and {self.dropped} "
                f"dropped make {accounted}: this is a bug"
            )


def propose_masks(
    segmenter: PromptableSegmenter,
    image_HWC: NDArray[np.uint8],
    *,
    image_id: str,
    parameters: AutomaticParameters,
    threads: int = 1,
) -> AutomaticMasks:
    """Makes all masks of one photo. Same inputs, same masks, ids and order.

    Args:
        segmenter: the model.
        image_HWC: upright RGB in original resolution.
        image_id: `ids.image_id` of the photo.
        parameters: with both thresholds settled (`presets.parameters_for`).
        threads: batches of points that are worked on at once. More than one give the same masks
            as one, to within what a network's rounding depends on its threads.

    Raises:
        ValueError: if a threshold was left open.
    """
    if parameters.min_predicted_iou is None or parameters.min_stability is None:
        raise ValueError("a threshold is open: settle both with presets.parameters_for")
    tally = Tally()
    height, width = image_HWC.shape[:2]
    found: list[Candidate] = []
    crops = crops_of((height, width), parameters.crop_layers, parameters.crop_overlap)
    for start in range(0, len(crops), parameters.crops_per_batch):
        batch = crops[start : start + parameters.crops_per_batch]
        with tally.timed("embed"):
            pixels = [np.ascontiguousarray(crop.cut(image_HWC)) for crop in batch]
            embeddings = embed_several(segmenter, pixels)
        for crop, embedding in zip(batch, embeddings, strict=True):
            found += candidates_in_crop(
                segmenter, embedding, crop, (height, width), parameters, tally, threads=threads
            )
    if len(crops) > 1:
        with tally.timed("nms"):
            found = _across_crops(found, parameters.crop_nms_iou, tally)
    maker = _Maker(image_id, (height, width), segmenter.model_id)
    masks = finished(found, maker.record, (height, width), parameters.min_region_area_px, tally)
    with tally.timed("nesting"):
        nested = nest(masks, parameters.nesting_containment)
    return AutomaticMasks(nested, tally.proposals, dict(tally.dropped), dict(tally.seconds))


def _across_crops(found: Sequence[Candidate], max_iou: float, tally: Tally) -> list[Candidate]:
    """NMS that prefers the most zoomed-in crop, and in a layer the higher predicted IoU.

    The paper ranks by crop alone and leaves ties open; the released code breaks them by order of
    the crops, whatever the quality.
    """
    ranked = sorted(found, key=lambda c: (-c.crop.layer, -c.predicted_iou))
    return without_duplicates(ranked, max_iou, gates.DUPLICATE_ACROSS_CROPS, tally)


@dataclass(frozen=True)
class _Maker:
    """What all masks of a photo share."""

    image_id: str
    size_hw: tuple[int, int]
    model_id: str

    def record(self, candidate: Candidate, cleaned: MaskPatch) -> MaskRecord:
        inside = cleaned.inside_HW
        segmentation = rle.encode_patch(inside, (cleaned.left, cleaned.top), self.size_hw)
        return MaskRecord(
            mask_id=ids.mask_id(
                self.image_id,
                self.size_hw,
                segmentation.counts,
                origin=AUTOMATIC,
                maker=self.model_id,
            ),
            segmentation=segmentation,
            bbox=(
                float(cleaned.left),
                float(cleaned.top),
                float(inside.shape[1]),
                float(inside.shape[0]),
            ),
            area=int(np.count_nonzero(inside)),
            origin=AUTOMATIC,
            predicted_iou=candidate.predicted_iou,
            stability_score=candidate.stability,
            crop_box=candidate.crop.box_xywh,
            point_coords=(candidate.point_xy,),
            model_id=self.model_id,
        )

"""One crop's grid of points becomes candidate masks: asked, gated, and free of duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.prompts import Prompt
from model.segmenter import Embedding, PromptableSegmenter, Proposals
from model.side_by_side import side_by_side
from stages import gates, rle
from stages.cleanup import MaskPatch, tight
from stages.crops import Crop, grid_points_xy, points_per_side
from stages.nms import keep_by_box_nms
from stages.parameters import AutomaticParameters
from stages.records import Point
from stages.tally import Tally
from stages.upsampling import UpsampledMask, Upsampler


@dataclass(frozen=True)
class Candidate:
    """A mask that passed the gates, in pixels of the upright original.

    Attributes:
        patch: the mask inside its box.
        left, top: the box's place.
        area_px: pixels inside.
        predicted_iou, stability: as the model gave them.
        point_xy: the click.
        crop: where the model saw it.
        prompt: which of the prompts that were asked together it answers.
    """

    patch: rle.Rle
    left: int
    top: int
    area_px: int
    predicted_iou: float
    stability: float
    point_xy: Point
    crop: Crop
    prompt: int = 0

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom; the latter two are exclusive."""
        height, width = self.patch.size_hw
        return self.left, self.top, self.left + width, self.top + height


def candidates_in_crop(
    segmenter: PromptableSegmenter,
    embedding: Embedding,
    crop: Crop,
    image_hw: tuple[int, int],
    parameters: AutomaticParameters,
    tally: Tally,
    *,
    threads: int = 1,
) -> list[Candidate]:
    """Proposes masks in one crop and drops those that fail a gate or repeat a better one.

    Args:
        segmenter: the model.
        embedding: of the crop.
        crop: where in the photo it is.
        image_hw: of the upright original.
        parameters: with both thresholds settled.
        tally: counts what is asked and dropped.
        threads: batches of points that are asked and judged at once.
    """
    side = points_per_side(crop.layer, parameters.points_per_side, parameters.crop_points_downscale)
    points_xy = grid_points_xy(side, (crop.height, crop.width))
    batches = [
        points_xy[start : start + parameters.prompts_per_batch]
        for start in range(0, len(points_xy), parameters.prompts_per_batch)
    ]

    def answered(batch_xy: NDArray[np.float32]) -> tuple[list[Candidate], Tally]:
        own = Tally()
        proposals = _ask(segmenter, embedding, batch_xy, parameters, own)
        gate = CandidateGate(crop, image_hw, parameters, own)
        return gate.pass_on(proposals, batch_xy), own

    found: list[Candidate] = []
    threads = min(threads, len(batches))
    for candidates, own in side_by_side(answered, batches, threads):
        found += candidates
        tally.add(own, side_by_side=threads)
    with tally.timed("nms"):
        return without_duplicates(
            sorted(found, key=lambda candidate: -candidate.predicted_iou),
            parameters.nms_iou,
            gates.DUPLICATE_IN_CROP,
            tally,
        )


def without_duplicates(
    ranked: Sequence[Candidate], max_iou: float, reason: str, tally: Tally
) -> list[Candidate]:
    """Box NMS over candidates, the best first; the others are counted under `reason`.

    Boxes reach to the last pixels, not behind them, as in the released code: of small boxes, IoU
    is another.
    """
    boxes = np.array([candidate.box_xyxy for candidate in ranked], np.float64).reshape(-1, 4)
    to_last_pixels = boxes - (0, 0, 1, 1)
    kept = keep_by_box_nms(to_last_pixels, np.arange(len(ranked)), max_iou)
    tally.drop(reason, len(ranked) - len(kept))
    return [ranked[i] for i in kept]


def _ask(
    segmenter: PromptableSegmenter,
    embedding: Embedding,
    points_xy: NDArray[np.float32],
    parameters: AutomaticParameters,
    tally: Tally,
) -> Proposals:
    prompts = [Prompt.of([point]) for point in points_xy]
    with tally.timed("decode"):
        proposals = segmenter.segment(
            embedding, prompts, multimask=True, min_predicted_iou=parameters.min_predicted_iou
        )
    tally.proposals += proposals.predicted_iou.size
    tally.drop(gates.BELOW_PREDICTED_IOU, proposals.predicted_iou.size - len(proposals.index))
    return proposals


class CandidateGate:
    """Upsamples proposals one at a time and passes on those worth keeping.

    Args:
        crop: where the model saw the photo.
        image_hw: of the upright original.
        parameters: with both thresholds settled.
        tally: counts what is dropped.
    """

    def __init__(
        self,
        crop: Crop,
        image_hw: tuple[int, ...],
        parameters: AutomaticParameters,
        tally: Tally,
    ) -> None:
        self._crop = crop
        self._image_hw = (image_hw[0], image_hw[1])
        self._parameters = parameters
        self._tally = tally
        self._upsampler: Upsampler | None = None

    def pass_on(self, proposals: Proposals, points_xy: NDArray[np.float32]) -> list[Candidate]:
        """Those of a batch that pass; (P, 2) points in the crop say where each was asked for."""
        if self._upsampler is None:
            self._upsampler = Upsampler(proposals.geometry, self._parameters.stability_offset)
        candidates = []
        for (prompt, answer), logits in zip(proposals.index, proposals.logits, strict=True):
            with self._tally.timed("upsample"):
                mask = self._upsampler.upsample(logits)
            score = float(proposals.predicted_iou[prompt, answer])
            judged = self._judge(mask, score, points_xy[prompt])
            if isinstance(judged, Candidate):
                candidates.append(replace(judged, prompt=int(prompt)))
            else:
                self._tally.drop(judged)
        return candidates

    def _judge(
        self, mask: UpsampledMask | None, score: float, point_xy: NDArray[np.float32]
    ) -> Candidate | str:
        """The candidate, or the reason why it is none."""
        if mask is None:
            return gates.EMPTY
        if mask.stability < (self._parameters.min_stability or 0):
            return gates.BELOW_STABILITY
        candidate = self._locate(mask, score, point_xy)
        reason = gates.rejection(
            box_xyxy=candidate.box_xyxy,
            area_px=candidate.area_px,
            crop=self._crop,
            image_hw=self._image_hw,
            parameters=self._parameters,
        )
        return reason or candidate

    def _locate(
        self, mask: UpsampledMask, score: float, point_xy: NDArray[np.float32]
    ) -> Candidate:
        with self._tally.timed("encode"):
            patch = tight(MaskPatch(mask.inside_WH.T, mask.left, mask.top))
            encoded = rle.encode(patch.inside_HW)
        # float32, as shards store it: a row that is read back equals the row that was written.
        x, y = np.add(point_xy, (self._crop.left, self._crop.top), dtype=np.float32).tolist()
        return Candidate(
            patch=encoded,
            left=self._crop.left + patch.left,
            top=self._crop.top + patch.top,
            area_px=int(np.count_nonzero(patch.inside_HW)),
            predicted_iou=score,
            stability=float(np.float32(mask.stability)),
            point_xy=(x, y),
            crop=self._crop,
        )

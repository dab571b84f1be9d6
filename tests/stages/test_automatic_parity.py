"""The whole stage against the released `SamAutomaticMaskGenerator`, fed by the same model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam as OfficialSam
from torch import Tensor, nn

from model import Embedding, Prompt
from model.sam_segmenter import SamSegmenter
from model.segmenter import PromptableSegmenter
from stages import rle
from stages.automatic import AutomaticParameters, propose_masks
from stages.records import MaskRecord
from stages.rle import Rle
from tests.factories import make_pixels
from tests.fakes import ColourEmbedding, DiscSegmenter
from tests.model.official_sam import loaded, official_small_sam, same_small_sam

PHOTO = make_pixels(270, 180, seed=11)


class UntiedDiscs(DiscSegmenter):
    """Disc masks whose predicted IoUs are all different: NMS orders ties as it likes."""

    def _answer(
        self, embedding: ColourEmbedding, prompt: Prompt, multimask: bool
    ) -> tuple[NDArray[np.float32], list[float]]:
        logits, scores = super()._answer(embedding, prompt, multimask)
        x, y = prompt.points_xy[0].tolist()
        shift = float(embedding.colours_hwC.sum()) * 1e-3
        places = (x * 0.317 + y * 0.733 + i * 0.531 + shift for i in range(len(scores)))
        return logits, [
            score - 0.02 * (place % 1) for score, place in zip(scores, places, strict=True)
        ]


class PredictorOver:
    """What the released generator expects of its predictor, answered by our segmenter.

    Upsampling is the released code's own.
    """

    device = "cpu"

    def __init__(self, segmenter: PromptableSegmenter) -> None:
        self._segmenter = segmenter
        self.model = self
        self.transform = self
        self.mask_threshold = 0.0
        self._embedding: Embedding | None = None

    def apply_coords(self, points: NDArray[np.float64], size: Any) -> NDArray[np.float64]:
        return points

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._embedding = self._segmenter.embed(np.ascontiguousarray(image))

    def reset_image(self) -> None:
        self._embedding = None

    def predict_torch(
        self, points: Tensor, labels: Tensor, multimask_output: bool, return_logits: bool
    ) -> tuple[Tensor, Tensor, None]:
        assert self._embedding is not None
        prompts = [Prompt.of(point) for point in points[:, 0].float().numpy()]
        answers = self._segmenter.segment(self._embedding, prompts, multimask=multimask_output)
        geometry = answers.geometry
        low_res = torch.from_numpy(answers.logits).reshape(len(prompts), -1, *geometry.logits_hw)
        logits = _sam_of_size(geometry.input_size).postprocess_masks(
            low_res, geometry.scaled_hw, geometry.original_hw
        )
        return logits, torch.from_numpy(answers.predicted_iou), None


def _sam_of_size(input_size: int) -> OfficialSam:
    """The official class without a network, for its upsampling alone."""
    encoder = nn.Identity()
    encoder.img_size = input_size
    return OfficialSam(encoder, nn.Identity(), nn.Identity())


def generator_with(sam: OfficialSam, parameters: AutomaticParameters) -> SamAutomaticMaskGenerator:
    return SamAutomaticMaskGenerator(
        sam,
        points_per_side=parameters.points_per_side,
        points_per_batch=parameters.prompts_per_batch,
        pred_iou_thresh=parameters.min_predicted_iou,
        stability_score_thresh=parameters.min_stability,
        stability_score_offset=parameters.stability_offset,
        box_nms_thresh=parameters.nms_iou,
        crop_n_layers=parameters.crop_layers,
        crop_nms_thresh=parameters.crop_nms_iou,
        crop_overlap_ratio=parameters.crop_overlap,
        crop_n_points_downscale_factor=parameters.crop_points_downscale,
        output_mode="coco_rle",
    )


def released_masks(
    segmenter: PromptableSegmenter, parameters: AutomaticParameters
) -> list[dict[str, Any]]:
    generator = generator_with(_sam_of_size(segmenter.input_size), parameters)
    generator.predictor = PredictorOver(segmenter)
    found: list[dict[str, Any]] = generator.generate(PHOTO)
    return found


def key(mask: dict[str, Any]) -> tuple[float, ...]:
    return (*mask["crop_box"], *np.round(mask["point_coords"][0], 3), mask["predicted_iou"])


def as_released(mask: MaskRecord) -> dict[str, Any]:
    left, top, width, height = mask.bbox
    return {
        "segmentation": mask.segmentation.as_coco()["counts"].decode(),
        "area": mask.area,
        "bbox": [left, top, width - 1, height - 1],  # the released code's maxima are inclusive
        "predicted_iou": mask.predicted_iou,
        "point_coords": [list(point) for point in mask.point_coords],
        "stability_score": mask.stability_score,
        "crop_box": list(mask.crop_box or ()),
    }


def unlike(masks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of masks with the very same pixels the best: without NMS the released code keeps all."""
    ranked = sorted(masks, key=lambda mask: mask["predicted_iou"])
    return list({mask["segmentation"]["counts"]: mask for mask in ranked}.values())


@pytest.mark.parametrize(
    "settings",
    [
        {"points_per_side": 7},
        {"points_per_side": 8, "nms_iou": 1.0},
        {"points_per_side": 4, "crop_layers": 2, "crop_nms_iou": 1.0},
        {"points_per_side": 7, "min_predicted_iou": 0.9, "min_stability": 0.97},
    ],
    ids=["whole photo", "without NMS", "crops", "strict"],
)
def test_same_masks_as_the_released_generator(settings: dict[str, Any]) -> None:
    defaults = {
        "min_predicted_iou": 0.75,
        "min_stability": 0.9,
        "max_image_share": 2.0,  # the released code has no such rule
        "min_region_area_px": 0,
    }
    parameters = AutomaticParameters(**(defaults | settings))
    segmenter = UntiedDiscs(128)
    ours = propose_masks(segmenter, PHOTO, image_id="0" * 32, parameters=parameters)
    expected = sorted(unlike(released_masks(segmenter, parameters)), key=key)
    found = sorted(map(as_released, ours.masks), key=key)
    assert len(found) > 20
    assert [key(mask) for mask in found] == [key(mask) for mask in expected]
    for mask, released in zip(found, expected, strict=True):
        assert mask["segmentation"] == released["segmentation"]["counts"]
        assert mask["bbox"] == released["bbox"]
        assert mask["area"] == released["area"]
        assert mask["stability_score"] == pytest.approx(released["stability_score"], abs=1e-6)


def test_same_masks_as_the_released_code_with_the_same_random_weights() -> None:
    """The network's own arithmetic differs in the last digits, and so may a pixel at an edge."""
    official = official_small_sam(128)
    with torch.no_grad():  # random logits hardly leave zero: make masks of them
        for head in official.mask_decoder.output_hypernetworks_mlps:
            head.layers[-1].weight *= 100
            head.layers[-1].bias *= 100
    parameters = AutomaticParameters(
        points_per_side=4,
        min_predicted_iou=0.01,
        min_stability=0.5,
        max_image_share=2.0,
        nms_iou=1.0,
        min_region_area_px=0,
    )
    segmenter = SamSegmenter(loaded(same_small_sam(official)))
    ours = propose_masks(segmenter, PHOTO, image_id="0" * 32, parameters=parameters)
    released = generator_with(official, parameters).generate(PHOTO)
    assert len(ours.masks) == len(released) > 10
    released.sort(key=lambda mask: -mask["predicted_iou"])
    for mask, expected in zip(ours.masks, released, strict=True):
        theirs = Rle(mask.segmentation.size_hw, expected["segmentation"]["counts"])
        assert rle.pairwise_iou([mask.segmentation], [theirs])[0, 0] > 0.999
        assert mask.predicted_iou == pytest.approx(expected["predicted_iou"], abs=1e-4)
        assert mask.stability_score == pytest.approx(expected["stability_score"], abs=1e-3)
        assert mask.point_coords[0] == pytest.approx(tuple(expected["point_coords"][0]))

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model import Embedding, Prompt, Proposals
from stages import gates, rle
from stages.automatic import AutomaticMasks, AutomaticParameters, propose_masks
from stages.presets import parameters_for
from stages.schema import rows_from_table, rows_to_table
from tests.factories import make_pixels, make_row
from tests.fakes import ColourEmbedding, DiscSegmenter, SilentSegmenter

IMAGE_ID = "1" * 32
PHOTO = make_pixels(160, 120, seed=3)
FEW_POINTS = {"points_per_side": 6, "min_predicted_iou": 0.8, "min_stability": 0.9}


def parameters(*, preset: str = "default", **settings: object) -> AutomaticParameters:
    return parameters_for(preset, FEW_POINTS | settings)[0]


def propose(
    photo: NDArray[np.uint8] = PHOTO,
    segmenter: DiscSegmenter | None = None,
    **settings: object,
) -> AutomaticMasks:
    chosen = parameters(**settings)
    return propose_masks(
        segmenter or DiscSegmenter(128), photo, image_id=IMAGE_ID, parameters=chosen
    )


def test_every_proposal_is_kept_or_dropped_for_a_reason() -> None:
    found = propose(preset="sa1b", points_per_side=6)
    points = 6 * 6 + 4 * 3 * 3 + 16 * 1 * 1
    assert found.proposals == 3 * points
    assert found.proposals == len(found.masks) + sum(found.dropped.values())
    assert set(found.dropped) <= set(gates.DROP_REASONS)
    assert all(count > 0 for count in found.dropped.values())


def test_lost_proposals_are_a_bug_that_says_so() -> None:
    with pytest.raises(RuntimeError, match="5 proposals, but 0 kept"):
        AutomaticMasks((), 5, {"empty": 4}, {})


def test_every_mask_tells_where_it_comes_from() -> None:
    found = propose(preset="sa1b", points_per_side=6)
    assert len(found.masks) > 5
    for mask in found.masks:
        left, top, width, height = mask.crop_box or (0, 0, 0, 0)
        ((x, y),) = mask.point_coords
        assert left <= x < left + width
        assert top <= y < top + height
        assert mask.segmentation.size_hw == (120, 160)
        assert mask.bbox == rle.bbox_xywh(mask.segmentation)
        assert mask.area == rle.area_px(mask.segmentation)
        assert mask.model_id == DiscSegmenter.model_id
        assert (mask.predicted_iou or 0) >= 0.8
        assert (mask.stability_score or 0) >= 0.9
        assert mask.level is not None
    assert len({mask.crop_box for mask in found.masks}) > 1
    assert len({mask.mask_id for mask in found.masks}) == len(found.masks)


def test_masks_come_back_equal_from_a_shard() -> None:
    row = make_row(masks=propose(preset="sa1b", points_per_side=6).masks, width=160, height=120)
    table = rows_to_table([row], configuration_digest="0", with_images=False)
    assert list(rows_from_table(table)) == [row]


def test_masks_come_with_the_highest_predicted_iou_first() -> None:
    scores = [mask.predicted_iou or 0 for mask in propose().masks]
    assert scores == sorted(scores, reverse=True)


def test_the_same_photo_gives_the_same_masks_however_points_are_batched() -> None:
    expected = propose()
    for prompts_per_batch in (1, 7, 1000):
        found = propose(prompts_per_batch=prompts_per_batch)
        assert found.masks == expected.masks
        assert found.dropped == expected.dropped


def test_batches_side_by_side_give_the_same_masks_and_counts() -> None:
    expected = propose(preset="sa1b", prompts_per_batch=5)
    chosen = parameters(preset="sa1b", prompts_per_batch=5)
    found = propose_masks(
        DiscSegmenter(128), PHOTO, image_id=IMAGE_ID, parameters=chosen, threads=3
    )
    assert (found.masks, found.dropped) == (expected.masks, expected.dropped)
    assert found.proposals == expected.proposals
    assert found.seconds.keys() == expected.seconds.keys()


def test_crops_are_embedded_so_many_at_once_where_the_segmenter_can() -> None:
    class SeveralAtOnce(DiscSegmenter):
        batches: list[int]

        def embed_several(self, images: Sequence[NDArray[np.uint8]]) -> list[ColourEmbedding]:
            self.batches.append(len(images))
            return [self.embed(image) for image in images]

    segmenter = SeveralAtOnce(128)
    segmenter.batches = []
    expected = propose(preset="sa1b")
    assert propose(preset="sa1b", segmenter=segmenter, crops_per_batch=8).masks == expected.masks
    assert segmenter.batches == [8, 8, 5]
    assert propose(preset="sa1b", crops_per_batch=8).masks == expected.masks


def test_several_threads_may_share_a_segmenter() -> None:
    segmenter = DiscSegmenter(128)
    expected = propose(segmenter=segmenter)
    found: list[AutomaticMasks] = []
    threads = [
        threading.Thread(target=lambda: found.append(propose(segmenter=segmenter)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f.masks for f in found] == [expected.masks] * 3


def test_seconds_are_told_by_step() -> None:
    seconds = propose().seconds
    assert set(seconds) == {"embed", "decode", "upsample", "encode", "nms", "cleanup", "nesting"}
    assert all(value >= 0 for value in seconds.values())


def test_nothing_worth_keeping_is_no_error() -> None:
    found = propose(segmenter=SilentSegmenter(128))
    assert found.masks == ()
    assert found.dropped == {gates.BELOW_PREDICTED_IOU: 3 * 36}


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (3, 2)])
@pytest.mark.parametrize("preset", ["default", "sa1b"])
def test_extreme_photos_are_handled(size: tuple[int, int], preset: str) -> None:
    photo = np.full((size[1], size[0], 3), 90, np.uint8)
    found = propose(photo, preset=preset, points_per_side=4, min_region_area_px=0)
    assert found.proposals == len(found.masks) + sum(found.dropped.values())


def test_open_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"settle both with presets\.parameters_for"):
        propose_masks(DiscSegmenter(), PHOTO, image_id=IMAGE_ID, parameters=AutomaticParameters())


def test_one_crop_alone_has_no_duplicates_across_crops() -> None:
    found = propose(nms_iou=0.95, crop_nms_iou=0.1)
    assert gates.DUPLICATE_ACROSS_CROPS not in found.dropped


class ScriptedSegmenter(DiscSegmenter):
    """Answers every click in a whole photo or a crop with the rectangles it was told.

    Rectangles are (left, top, right, bottom, predicted IoU) in pixels of a 64 x 64 photo, which
    are those of the logits too; `by_crop` is keyed by the size of what is embedded.
    """

    def __init__(
        self, by_crop: dict[int, Sequence[tuple[int, int, int, int, float]]], logit: float = 20
    ) -> None:
        super().__init__(256)
        self._by_crop = by_crop
        self._logit = logit

    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        assert isinstance(embedding, ColourEmbedding)
        width = embedding.geometry.original_hw[1]
        answers = self._by_crop.get(width, ())
        scores = np.array([[a[4] for a in answers]] * len(prompts), np.float32)
        scores = scores.reshape(len(prompts), len(answers))
        logits = np.full((len(answers), 64, 64), -self._logit, np.float32)
        scale = 64 / width
        for mask, (left, top, right, bottom, _) in zip(logits, answers, strict=True):
            rows = slice(round(top * scale), round(bottom * scale))
            mask[rows, round(left * scale) : round(right * scale)] = self._logit
        index = np.argwhere(scores >= (min_predicted_iou or 0)).astype(np.int32)
        return Proposals(scores, index, logits[index[:, 1]], embedding.geometry)


class TestChain:
    """Each gate on its own, with masks that are known to the pixel."""

    photo = np.zeros((64, 64, 3), np.uint8)

    def propose(
        self,
        *rectangles: tuple[int, int, int, int, float],
        crops: Sequence[tuple[int, int, int, int, float]] = (),
        **settings: object,
    ) -> AutomaticMasks:
        few: dict[str, object] = {
            "points_per_side": 1,
            "min_region_area_px": 10,
            "min_stability": 0.5,
            "crop_overlap": 0.0,
        }
        chosen = parameters(**(few | settings))
        segmenter = ScriptedSegmenter({64: rectangles, 32: crops})
        return propose_masks(segmenter, self.photo, image_id=IMAGE_ID, parameters=chosen)

    def test_a_mask_lies_where_its_logits_are(self) -> None:
        (mask,) = self.propose((10, 20, 30, 50, 0.9)).masks
        assert mask.bbox == (10, 20, 20, 30)
        assert mask.area == 600
        assert mask.predicted_iou == np.float32(0.9)

    def test_low_predicted_iou(self) -> None:
        assert self.propose((9, 9, 30, 30, 0.79)).dropped == {gates.BELOW_PREDICTED_IOU: 1}

    def test_low_stability(self) -> None:
        hesitant = ScriptedSegmenter({64: [(9, 9, 20, 20, 0.9)]}, logit=0.5)
        chosen = parameters(points_per_side=1)
        found = propose_masks(hesitant, self.photo, image_id=IMAGE_ID, parameters=chosen)
        assert found.dropped == {gates.BELOW_STABILITY: 1}

    def test_empty(self) -> None:
        assert self.propose((9, 9, 9, 9, 0.9)).dropped == {gates.EMPTY: 1}

    def test_covers_image(self) -> None:
        assert self.propose((0, 0, 64, 63, 0.9)).dropped == {gates.COVERS_IMAGE: 1}
        assert len(self.propose((0, 0, 64, 60, 0.9)).masks) == 1

    def test_the_better_of_two_alike_is_kept(self) -> None:
        found = self.propose((10, 10, 30, 30, 0.85), (10, 10, 30, 29, 0.95))
        assert found.dropped == {gates.DUPLICATE_IN_CROP: 1}
        assert [mask.area for mask in found.masks] == [380]

    def test_too_small(self) -> None:
        assert self.propose((10, 10, 13, 13, 0.9)).dropped == {gates.TOO_SMALL: 1}

    def test_crop_edges(self) -> None:
        settings = {"crop_layers": 1, "crop_edge_tolerance_px": 2}
        found = self.propose(crops=[(10, 10, 32, 20, 0.9)], **settings)
        # The photo's own border is on the right of the two crops on the right.
        assert found.dropped == {gates.TOUCHES_CROP_EDGE: 2}
        assert sorted(m.bbox for m in found.masks) == [(42, 10, 22, 10), (42, 42, 22, 10)]

    def test_the_more_zoomed_in_of_two_alike_is_kept(self) -> None:
        settings = {"crop_layers": 1, "crop_edge_tolerance_px": 2}
        found = self.propose((4, 4, 20, 20, 0.99), crops=[(4, 4, 20, 20, 0.85)], **settings)
        assert found.dropped == {gates.DUPLICATE_ACROSS_CROPS: 1}
        assert {mask.crop_box for mask in found.masks} == {
            (0, 0, 32, 32),
            (0, 32, 32, 32),
            (32, 0, 32, 32),
            (32, 32, 32, 32),
        }

    def test_masks_that_clean_up_makes_the_same_are_kept_once(self) -> None:
        found = self.propose(
            (10, 10, 30, 30, 0.85), (10, 10, 30, 30, 0.95), nms_iou=1.0, crop_nms_iou=1.0
        )
        assert found.dropped == {gates.SAME_AFTER_CLEANUP: 1}
        assert [mask.predicted_iou for mask in found.masks] == [np.float32(0.95)]

    def test_nesting_is_told(self) -> None:
        found = self.propose((5, 5, 50, 50, 0.9), (10, 10, 20, 20, 0.95))
        part, whole = found.masks
        assert (part.level, part.nested_in, whole.level) == ("part", whole.mask_id, "whole")
        assert replace(whole, level="part").nested_in is None

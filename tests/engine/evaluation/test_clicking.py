from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.evaluation.clicking import click_masks, intersection_over_union
from model import Embedding, Prompt, Proposals
from model.clicks import innermost_point
from tests.fakes import DiscSegmenter, SilentSegmenter


def two_boxes() -> tuple[np.ndarray, list[np.ndarray]]:
    image = np.zeros((96, 128, 3), np.uint8)
    masks = []
    for left in (10, 70):
        mask = np.zeros((96, 128), bool)
        mask[30:60, left : left + 30] = True
        image[mask] = (200, 40 + left, 90)
        masks.append(mask)
    return image, masks


def test_a_segmenter_that_finds_things_of_one_colour_scores_high_on_boxes() -> None:
    image, masks = two_boxes()
    clicked = click_masks(DiscSegmenter(), image, masks, [None, None], clicks=3)
    assert [mask.area_px for mask in clicked] == [900, 900]
    for mask in clicked:
        assert mask.oracle_iou[0] >= mask.iou[0]
        assert mask.oracle_iou[0] > 0.8
        assert len(mask.iou) == len(mask.predicted_iou) <= 3


def test_stability_is_that_of_the_answer_ranked_first_as_automatic_masks_have_it() -> None:
    image, masks = two_boxes()
    segmenter = DiscSegmenter()
    (clicked,) = click_masks(segmenter, image, masks[:1], [None], clicks=1)
    xy = innermost_point(masks[0])
    answer = segmenter.segment(segmenter.embed(image), [Prompt.of([xy])], multimask=True)
    logits = answer.logits[answer.predicted_iou[0].argmax()]
    enlarged = answer.geometry.row_weights() @ logits @ answer.geometry.column_weights().T
    expected = (enlarged > 1).sum() / (enlarged > -1).sum()
    assert clicked.stability == (pytest.approx(expected),)
    assert click_masks(SilentSegmenter(), image, masks[:1], [None], clicks=1)[0].stability == (0,)


def test_masks_are_independent_of_what_else_is_clicked() -> None:
    image, masks = two_boxes()
    both = click_masks(DiscSegmenter(), image, masks, [None, None], clicks=2)
    alone = click_masks(DiscSegmenter(), image, masks[1:], [None], clicks=2)
    assert both[1].iou == alone[0].iou


def test_a_mask_that_is_good_enough_gets_no_more_clicks_than_all_get() -> None:
    image, masks = two_boxes()
    stopped = click_masks(
        DiscSegmenter(), image, masks[:1], [None], clicks=20, stop_at_iou=0.0, always=2
    )
    assert len(stopped[0].iou) == 2
    assert stopped[0].iou_after(9) == stopped[0].iou[-1]


def test_as_people_get_answers_only_the_first_click_has_candidates() -> None:
    image, masks = two_boxes()
    for mask in click_masks(
        DiscSegmenter(), image, masks, [None, None], clicks=3, as_annotated=True
    ):
        assert len(mask.iou) > 1
        assert mask.oracle_iou[1:] == mask.iou[1:]


def test_clicks_that_change_nothing_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    image, masks = two_boxes()
    asked: list[np.ndarray] = []
    segmenter = DiscSegmenter()
    answers = segmenter.segment

    def deaf(embedding: Embedding, prompts: Sequence[Prompt], **options: Any) -> Proposals:
        asked.extend(prompt.points_xy for prompt in prompts)
        first = [Prompt.of(p.points_xy[:1], p.point_labels[:1], None, None) for p in prompts]
        return answers(embedding, first, **options)

    monkeypatch.setattr(segmenter, "segment", deaf)
    (mask,) = click_masks(segmenter, image, masks[:1], [None], clicks=6)
    assert len(mask.iou) == 6
    assert len({tuple(point) for point in asked[-1]}) == 6


def test_random_first_clicks_are_seeded() -> None:
    image, masks = two_boxes()
    runs = [
        click_masks(
            DiscSegmenter(),
            image,
            masks,
            [None, None],
            clicks=1,
            rng=np.random.default_rng(seed),
        )
        for seed in (1, 1)
    ]
    assert [m.iou for m in runs[0]] == [m.iou for m in runs[1]]


def test_iou_leaves_the_ignored_band_out() -> None:
    truth = np.zeros((10, 10), bool)
    truth[2:8, 2:8] = True
    grown = np.zeros((10, 10), bool)
    grown[1:9, 1:9] = True
    assert intersection_over_union(grown, truth, None) == pytest.approx(36 / 64)
    assert intersection_over_union(grown, truth, grown & ~truth) == 1

from __future__ import annotations

from engine.exports.choice import MaskChoice
from tests.factories import make_mask


def test_leaves_have_no_mask_nested_in_them(photo_rows):
    outer, inner, other = photo_rows[0].masks
    assert MaskChoice(masks="leaves").of((outer, inner, other)) == (inner, other)


def test_scores_are_judged_before_nesting(photo_rows):
    outer, inner, other = photo_rows[0].masks
    assert MaskChoice(masks="leaves", min_stability=0.9).of((outer, inner, other)) == (outer, other)


def test_a_limit_includes_its_own_value(photo_rows):
    outer, inner, other = photo_rows[0].masks
    chosen = MaskChoice(min_predicted_iou=0.9375).of((outer, inner, other))
    assert chosen == (outer, inner)


def test_masks_without_scores_pass():
    mask = make_mask(origin="human", predicted_iou=None, stability_score=None)
    assert MaskChoice(min_predicted_iou=0.9, min_stability=0.9).of((mask,)) == (mask,)


def test_small_and_empty_masks_can_be_left_out():
    small, large = make_mask(box_xywh=(0, 0, 2, 2)), make_mask(box_xywh=(0, 0, 3, 3))
    assert MaskChoice(min_area_px=5).of((small, large)) == (large,)

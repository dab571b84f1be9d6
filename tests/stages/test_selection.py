from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import rle
from stages.nesting import nest
from stages.selection import SELECTIONS, all_masks, leaves_only, owner_map, without_overlap
from tests.factories import make_mask, rectangle

SIZE_HW = (24, 32)
BIG, SMALL, APART = (0, 0, 16, 16), (4, 4, 4, 4), (20, 2, 6, 6)


def nested(*boxes: tuple[int, int, int, int]):  # type: ignore[no-untyped-def]
    return nest([make_mask(rectangle(box, SIZE_HW)) for box in boxes], 0.9)


def test_all_masks_are_all() -> None:
    masks = nested(BIG, SMALL, APART)
    assert all_masks(masks) == masks


def test_leaves_hold_no_other_mask() -> None:
    _, small, apart = masks = nested(BIG, SMALL, APART)
    assert leaves_only(masks) == (small, apart)


def test_the_smaller_mask_keeps_its_pixels() -> None:
    big, small = nested(BIG, SMALL)
    cut, whole = without_overlap([big, small])
    assert whole == small
    assert cut.area == 16 * 16 - 4 * 4
    assert cut.mask_id == big.mask_id
    assert not rle.decode(cut.segmentation)[4:8, 4:8].any()


def test_box_follows_the_pixels_that_remain() -> None:
    wide, over = nested((0, 0, 12, 4), (8, 0, 8, 4))
    cut, _ = without_overlap([wide, over])
    assert cut.bbox == (0, 0, 8, 4)


def test_a_mask_without_a_pixel_of_its_own_is_gone() -> None:
    halves = nested((0, 0, 8, 4), (0, 4, 8, 4), (0, 0, 8, 8))
    assert without_overlap(halves) == halves[:2]


def test_of_equal_sizes_the_higher_predicted_iou_wins() -> None:
    worse = make_mask(rectangle((0, 0, 6, 4), SIZE_HW), predicted_iou=0.5)
    better = make_mask(rectangle((3, 0, 6, 4), SIZE_HW), predicted_iou=0.75)
    assert [m.area for m in without_overlap([worse, better])] == [12, 24]


def test_nothing_selected_from_nothing() -> None:
    assert [select([]) for select in SELECTIONS.values()] == [(), (), ()]


def test_masks_of_several_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="masks of one photo have one size"):
        owner_map([make_mask(size_hw=(30, 30)), make_mask(size_hw=(30, 31))])


@given(
    st.lists(
        st.tuples(st.integers(0, 24), st.integers(0, 16), st.integers(1, 8), st.integers(1, 8)),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_no_overlap_shares_out_every_pixel_once(boxes: list[tuple[int, int, int, int]]) -> None:
    masks = [make_mask(rectangle(box, SIZE_HW)) for box in boxes]
    before = np.sum([rle.decode(m.segmentation) for m in masks], axis=0)
    after = np.sum([rle.decode(m.segmentation) for m in without_overlap(masks)], axis=0)
    np.testing.assert_array_equal(after, before > 0)
    for mask in without_overlap(masks):
        assert mask.bbox == rle.bbox_xywh(mask.segmentation)
        assert mask.area == rle.area_px(mask.segmentation)

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from segment_anything.utils import amg

from stages.cleanup import MaskPatch, clean, tight
from tests.factories import rectangle

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), fill=st.just(True))
EIGHT_NEIGHBOURS = np.ones((3, 3))


def cleaned_whole(mask: NDArray[np.bool_], min_area: int) -> NDArray[np.bool_] | None:
    """Cleans a mask through its tight patch, and lays the result out whole."""
    result = clean(tight(MaskPatch(mask, 0, 0)), mask.shape, min_area)
    if result is None:
        return None
    whole = np.zeros_like(mask)
    h, w = result.inside_HW.shape
    whole[result.top : result.top + h, result.left : result.left + w] = result.inside_HW
    return whole


def regions(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    return [labels == label for label in range(1, count + 1)]


@settings(deadline=None)
@given(MASKS, st.integers(1, 30), st.integers(0, 3))
def test_equals_the_plain_form_on_the_whole_mask(
    mask: NDArray[np.bool_], min_area: int, margin: int
) -> None:
    mask = np.pad(mask, margin)
    expected = np.zeros_like(mask)
    for island in regions(mask):
        if island.sum() >= min_area:
            expected |= island
    if not expected.any():
        assert cleaned_whole(mask, min_area) is None
        return
    for hole in regions(~expected):
        if hole.sum() < min_area:
            expected |= hole
    result = cleaned_whole(mask, min_area)
    assert result is not None
    np.testing.assert_array_equal(result, expected)


@settings(deadline=None)
@given(MASKS, st.integers(1, 30), st.integers(0, 3))
def test_each_step_is_that_of_the_released_code(
    mask: NDArray[np.bool_], min_area: int, margin: int
) -> None:
    mask = np.pad(mask, margin)
    result = cleaned_whole(mask, min_area)
    if result is None:
        return  # the released code keeps the largest part, the paper does not
    islands, _ = amg.remove_small_regions(mask, min_area, "islands")
    holes, _ = amg.remove_small_regions(islands, min_area, "holes")
    np.testing.assert_array_equal(result, holes)


def test_a_mask_whose_largest_part_is_too_small_is_dropped() -> None:
    mask = rectangle((0, 0, 3, 3), (20, 20)) | rectangle((10, 10, 2, 2), (20, 20))
    assert cleaned_whole(mask, 10) is None


def test_islands_go_before_holes_are_filled() -> None:
    hole = rectangle((2, 2, 5, 3), (20, 20))
    mask = ~hole | rectangle((4, 3, 1, 1), (20, 20))  # a ring of 14 px around an island of 1 px
    result = cleaned_whole(mask, 15)
    assert result is not None
    np.testing.assert_array_equal(result, ~hole)  # filled, had holes come first


def test_a_mask_without_pixels_is_dropped() -> None:
    assert cleaned_whole(np.zeros((5, 5), bool), 1) is None


def test_nothing_is_touched_at_zero() -> None:
    patch = MaskPatch(np.eye(4, dtype=bool), 3, 2)
    assert clean(patch, (10, 10), 0) is patch


def test_tight_keeps_the_place_of_every_pixel() -> None:
    patch = tight(MaskPatch(rectangle((2, 1, 3, 4), (9, 9)), 10, 20))
    assert (patch.left, patch.top, patch.inside_HW.shape) == (12, 21, (4, 3))
    assert patch.inside_HW.all()


def test_tight_of_an_empty_mask_has_no_pixels() -> None:
    assert tight(MaskPatch(np.zeros((4, 5), bool), 1, 1)).inside_HW.size == 0

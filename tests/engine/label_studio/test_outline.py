from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.label_studio.outline import (
    MOST_POINTS,
    corrected,
    filled,
    is_untouched,
    outline_of,
    points_of,
    polygon_region,
)
from tests.factories import rectangle

SIZE_HW = (60, 80)
BLOCK = rectangle((10, 20, 30, 25), SIZE_HW)


def iou(first, second) -> float:
    return np.count_nonzero(first & second) / np.count_nonzero(first | second)


def test_an_outline_filled_again_is_nearly_the_mask():
    assert iou(filled(outline_of(BLOCK), SIZE_HW), BLOCK) == 1
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    disc = np.hypot(x - 40, y - 30) < 22
    assert iou(filled(outline_of(disc), SIZE_HW), disc) > 0.93


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
def test_an_outline_has_few_corners_whatever_the_mask(seed, share):
    mask = np.random.default_rng(seed).random((40, 30)) < share
    mask[5, 5] = True
    assert 3 <= len(outline_of(mask)) <= MOST_POINTS


def test_a_dot_can_still_be_seen():
    dot = np.zeros(SIZE_HW, bool)
    dot[3, 4] = True
    assert len(outline_of(dot)) == 3
    with pytest.raises(ValueError, match="an empty mask has no outline"):
        outline_of(np.zeros(SIZE_HW, bool))


def test_what_nobody_moved_is_known_again_through_rounding():
    outline = outline_of(BLOCK)
    assert is_untouched(outline + 1e-4, outline)
    assert not is_untouched(outline + 0.05, outline)
    assert not is_untouched(outline[1:], outline)


def test_a_moved_corner_changes_the_pixels_it_moved_over_and_no_others():
    ring = BLOCK.copy()
    ring[30:35, 20:25] = False  # a hole, which a polygon cannot hold
    far = rectangle((60, 2, 6, 6), SIZE_HW)  # and a second part
    mask = ring | far
    sent = outline_of(mask)
    now = sent.copy()
    right = now[:, 0] > 40
    now[right, 0] += 10.0  # percent: 8 px
    after = corrected(mask, sent, now)
    assert not after[30:35, 20:25].any()
    assert after[far].all()
    assert np.array_equal(after[:, :40], mask[:, :40])
    assert after[20:45, 40:48].all()
    now[right, 0] -= 20.0
    assert not corrected(mask, sent, now)[20:45, 33:40].any()


def test_a_region_says_whose_outline_it_is():
    region = polygon_region(
        "a" * 32, BLOCK, control="outline", shown_on="image", label="Object", score=0.91234567
    )
    assert (region["id"], region["type"], region["score"]) == ("a" * 32, "polygonlabels", 0.9123)
    assert is_untouched(points_of(region), outline_of(BLOCK))


@pytest.mark.parametrize(
    "points", [None, [], [[1, 2], [3, 4]], [[1, 2, 3]] * 4, [["a", "b"]] * 3, [[1, 1e9]] * 3]
)
def test_points_that_make_no_area_are_refused(points):
    with pytest.raises(ValueError, match="the polygon has"):
        points_of({"value": {"points": points}})

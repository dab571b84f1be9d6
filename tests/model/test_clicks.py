import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.clicks import innermost_point, next_click, random_error_click, random_point


def box_mask(left: int, top: int, width: int, height: int, side: int = 40) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_innermost_point_of_a_box_is_its_centre() -> None:
    assert innermost_point(box_mask(10, 5, 11, 21)) in {(15, y) for y in range(10, 21)}


def test_the_border_of_the_picture_counts_as_outline() -> None:
    assert innermost_point(np.ones((21, 21), bool)) == (10, 10)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 10), st.integers(1, 10))
def test_clicks_always_fall_on_the_mask(left: int, top: int, width: int, height: int) -> None:
    mask = box_mask(left, top, width, height)
    rng = np.random.default_rng(left)
    for x, y in (innermost_point(mask), random_point(mask, rng)):
        assert mask[y, x]


def test_an_empty_mask_is_refused() -> None:
    empty = np.zeros((4, 4), bool)
    with pytest.raises(ValueError, match="leave such masks out"):
        innermost_point(empty)
    with pytest.raises(ValueError, match="leave such masks out"):
        random_point(empty, np.random.default_rng(0))


def test_the_next_click_is_positive_on_the_largest_missed_part() -> None:
    truth = box_mask(5, 5, 20, 20)
    predicted = box_mask(5, 5, 8, 20) | box_mask(30, 30, 3, 3)
    click = next_click(predicted, truth)
    assert click is not None
    assert click.label == 1
    assert (truth & ~predicted)[click.point_xy[1], click.point_xy[0]]


def test_no_pixel_is_clicked_twice() -> None:
    truth, predicted = box_mask(10, 10, 20, 20), np.zeros((40, 40), bool)
    clicked: list[tuple[int, int]] = []
    for _ in range(5):
        click = next_click(predicted, truth, clicked=clicked)
        assert click is not None
        assert click.label == 1
        clicked.append(click.point_xy)
    assert len(set(clicked)) == 5

    assert next_click(predicted, box_mask(4, 3, 1, 1), clicked=[(4, 3)]) is None


def test_the_next_click_is_negative_on_the_largest_surplus() -> None:
    truth = box_mask(5, 5, 8, 8)
    click = next_click(box_mask(5, 5, 30, 30), truth)
    assert click is not None
    assert click.label == 0
    assert not truth[click.point_xy[1], click.point_xy[0]]


def test_errors_in_the_ignored_band_get_no_click() -> None:
    truth = box_mask(5, 5, 10, 10)
    predicted = box_mask(5, 5, 10, 12)
    assert next_click(predicted, truth, ignored_HW=truth ^ predicted) is None


def test_a_perfect_answer_gets_no_click() -> None:
    truth = box_mask(5, 5, 10, 10)
    assert next_click(truth, truth) is None
    assert random_error_click(truth, truth, np.random.default_rng(0)) is None


def test_a_random_error_click_says_which_kind_of_error_it_is_on() -> None:
    truth, predicted = box_mask(5, 5, 10, 10), box_mask(10, 5, 10, 10)
    rng = np.random.default_rng(1)
    labels = set()
    for _ in range(30):
        click = random_error_click(predicted, truth, rng)
        assert click is not None
        x, y = click.point_xy
        assert truth[y, x] == (click.label == 1)
        assert truth[y, x] != predicted[y, x]
        labels.add(click.label)
    assert labels == {0, 1}

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from stages import rle
from stages.rle_counts import format_counts, parse_counts
from tests.factories import rectangle

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS)
def test_bytes_are_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    reference = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    encoded = rle.encode(mask)
    assert encoded.counts == reference["counts"].decode()
    assert encoded.size_hw == mask.shape


@given(MASKS)
def test_decoding_gives_the_mask_back(mask: NDArray[np.bool_]) -> None:
    decoded = rle.decode(rle.encode(mask))
    assert decoded.dtype == np.bool_
    np.testing.assert_array_equal(decoded, mask)


@given(MASKS, st.tuples(*[st.integers(0, 4)] * 4))
def test_a_patch_encodes_like_the_whole_mask(
    patch: NDArray[np.bool_], margins: tuple[int, int, int, int]
) -> None:
    left, top, right, bottom = margins
    whole = np.pad(patch, ((top, bottom), (left, right)))
    assert rle.encode_patch(patch, (left, top), whole.shape) == rle.encode(whole)


@given(MASKS)
def test_area_and_box_are_those_of_the_pixels(mask: NDArray[np.bool_]) -> None:
    encoded = rle.encode(mask)
    assert rle.area_px(encoded) == mask.sum()
    if mask.any():
        rows, columns = np.nonzero(mask)
        expected = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert rle.bbox_xywh(encoded) == expected


# Larger ones overrun a buffer in pycocotools.
@given(st.lists(st.integers(0, 2**28), min_size=1, max_size=9))
def test_lengths_of_any_size_are_written_as_pycocotools_does(counts: list[int]) -> None:
    written = format_counts(np.array(counts, np.int64))
    size = [1, sum(counts)]
    reference = coco_mask.frPyObjects({"size": size, "counts": counts}, *size)
    assert written == reference["counts"].decode()
    assert parse_counts(written).tolist() == counts


def test_any_non_zero_value_is_inside() -> None:
    values = np.array([[0, 1], [255, 128]], np.uint8)
    assert rle.decode(rle.encode(values)).tolist() == [[False, True], [True, True]]


def test_masks_wider_than_int16_keep_their_area() -> None:
    assert rle.area_px(rle.encode(np.ones((2, 40_000), bool))) == 80_000


def test_a_patch_outside_the_mask_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 x 2 px at \(3, 0\) is not inside 4 x 4"):
        rle.encode_patch(np.ones((2, 2), bool), (3, 0), (4, 4))


def test_iou_and_containment_of_rectangles() -> None:
    half = rle.encode(rectangle((0, 0, 5, 10), (10, 10)))
    whole = rle.encode(rectangle((0, 0, 10, 10), (10, 10)))
    assert rle.pairwise_iou([half], [whole, half]).tolist() == [[0.5, 1.0]]
    assert rle.pairwise_containment([half, whole], [whole, half]).tolist() == [[1, 1], [1, 0.5]]


def test_pairs_of_nothing_are_an_empty_table() -> None:
    one = rle.encode(np.ones((2, 2), bool))
    assert rle.pairwise_iou([], [one]).shape == (0, 1)
    assert rle.pairwise_iou([one], []).shape == (1, 0)


def test_lengths_beyond_one_group_of_bits_are_read() -> None:
    mask = np.zeros((300, 500), bool)
    mask[7:290, 3:480] = True
    mask[100, 100] = False
    np.testing.assert_array_equal(rle.decode(rle.encode(mask)), mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("", "empty"),
        ("04é", "not ASCII"),
        ("0 4", "damaged"),
        ("0P", "damaged"),
        ("00J", "negative length"),
        ("P" * 20 + "0", "no length"),
        ("05", "fill 5 px of a mask of 2 x 2"),
        ("03", "fill 3 px of a mask of 2 x 2"),
    ],
)
def test_damaged_counts_are_refused(counts: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rle.decode(rle.Rle((2, 2), counts))

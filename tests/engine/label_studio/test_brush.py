from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.label_studio.brush import decode_alpha, decode_brush, encode_brush, encode_brush_patch
from tests.factories import rectangle

brush = pytest.importorskip("label_studio_sdk.converter.brush")  # slow to import: not in a test

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(MASKS)
def test_masks_come_back_bit_exact(mask_HW):
    assert (decode_brush(encode_brush(mask_HW), mask_HW.shape) == mask_HW).all()


@given(MASKS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_patch_is_written_as_the_whole_mask_is(patch_HW, left, top, right, bottom):
    mask_HW = np.pad(patch_HW, ((top, bottom), (left, right)))

    assert encode_brush_patch(patch_HW, (left, top), mask_HW.shape) == encode_brush(mask_HW)


@given(MASKS)
@settings(max_examples=50)
def test_label_studio_reads_what_is_written(mask_HW):
    decoded = brush.decode_rle(encode_brush(mask_HW))
    alpha_HW = decoded.reshape(*mask_HW.shape, 4)[:, :, 3]
    assert (alpha_HW == np.where(mask_HW, 255, 0)).all()


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(4))))
@settings(max_examples=100)
def test_what_label_studio_writes_is_read_whatever_its_colours(pixels_HWC):
    """Strokes of a browser have colours and soft edges: runs and literals mixed."""
    rle = brush.encode_rle(pixels_HWC.reshape(-1))
    assert (decode_alpha(rle, pixels_HWC.shape[:2]) == pixels_HWC[:, :, 3]).all()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([(0, 0, 0, 0), (255, 0, 120, 255), (255, 0, 120, 93)]),
            st.integers(1, 70),
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=60)
def test_coloured_strokes_of_label_studio_are_read(runs):
    pixels = np.concatenate([np.tile(np.array(colour, np.uint8), (n, 1)) for colour, n in runs])
    rle = brush.encode_rle(pixels.reshape(-1))
    assert (decode_alpha(rle, (1, len(pixels)))[0] == pixels[:, 3]).all()


@pytest.mark.parametrize("value", [False, True])
def test_runs_over_the_longest_length_are_split(value):
    mask_HW = np.full((300, 400), value)
    mask_HW[-1, -1] = not value
    assert (decode_brush(encode_brush(mask_HW), (300, 400)) == mask_HW).all()


@pytest.mark.parametrize("pixels", [1, 2, 4, 64, 65, 16384, 16385, 32768, 32769])
def test_runs_at_the_limits_of_each_length_field_survive(pixels):
    mask_HW = np.zeros((1, 40000), bool)
    mask_HW[0, 3 : 3 + pixels] = True
    assert (decode_brush(encode_brush(mask_HW), mask_HW.shape) == mask_HW).all()


def test_any_value_but_zero_is_inside():
    mask_HW = np.array([[0, 1, 7, 255]], np.uint8)
    assert decode_brush(encode_brush(mask_HW), (1, 4)).tolist() == [[False, True, True, True]]


def test_soft_edges_are_inside_from_half_covered():
    pixels = np.zeros((4, 4), np.uint8)
    pixels[:, 3] = [0, 127, 128, 255]
    rle = brush.encode_rle(pixels.reshape(-1))
    assert decode_brush(rle, (1, 4)).tolist() == [[False, False, True, True]]


def test_another_size_is_refused_with_both_sizes():
    rle = encode_brush(rectangle((1, 1, 3, 2), (6, 8)))
    with pytest.raises(ValueError, match=r"has 48 px, expected 9 x 6 = 54 px"):
        decode_brush(rle, (6, 9))


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ([], "not a list of whole numbers"),
        ([1.5, 2.5], "not a list of whole numbers"),
        (["a"], "not a list of whole numbers"),
        ([[1], [2]], "not a list of whole numbers"),
        ([[1], 2], "not a list of numbers"),
        ({"rle": 1}, "not a list of whole numbers"),
        ([0, 0, 1], "inside its header"),
        ([300] * 9, "not a byte"),
        ([-1] * 9, "not a byte"),
        ([0] * 9, "words of 1 bits"),
    ],
)
def test_what_is_no_brush_mask_is_refused(rle, message):
    with pytest.raises(ValueError, match=message):
        decode_brush(rle, (4, 4))


def test_a_truncated_mask_is_refused():
    rle = encode_brush(rectangle((1, 1, 3, 2), (6, 8)))
    with pytest.raises(ValueError, match=r"ends after \d+ of 192 words"):
        decode_brush(rle[:-2], (6, 8))


@given(st.lists(st.integers(0, 255), max_size=60))
def test_garbage_is_read_or_refused_but_never_breaks(rle):
    rle = [0, 0, 0, 64, 57, 19, 56, *rle]  # a header of 4 x 4 pixels; its last bits are garbage
    try:
        mask_HW = decode_brush(rle, (4, 4))
    except ValueError:
        return
    assert mask_HW.shape == (4, 4)

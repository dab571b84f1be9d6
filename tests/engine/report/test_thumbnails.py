from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from engine.report.thumbnails import (
    GREY,
    mask_code,
    photo_thumbnail,
    thumbnail_hw,
)
from stages import rle
from stages.photos import PhotoLimits
from tests.factories import make_mask, rectangle

LIMITS = PhotoLimits()


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(4000, 3000, (480, 640)), (64, 48, (48, 64)), (3000, 1, (1, 640)), (1, 1, (1, 1))],
)
def test_the_longest_side_is_bounded_and_nothing_is_enlarged(width, height, expected):
    assert thumbnail_hw(width, height, 640) == expected


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(0, 10**6))
def test_no_mask_vanishes(height, width, longest, pixel):
    mask = np.zeros((height, width), bool)
    mask.flat[pixel % mask.size] = True
    code = mask_code(make_mask(mask), thumbnail_hw(width, height, longest))
    assert rle.area_px(code) == 1


@given(
    arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(np.any),
    st.integers(1, 40),
)
def test_working_on_the_box_alone_changes_nothing(mask, longest):
    size_hw = thumbnail_hw(mask.shape[1], mask.shape[0], longest)
    whole = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    coverage = np.asarray(whole.resize(size_hw[::-1], Image.Resampling.BOX))
    found = rle.decode(mask_code(make_mask(mask), size_hw))
    if coverage.max():
        # Pillow rounds each axis for itself, so coverage near a half may fall on either side.
        clear = np.abs(coverage.astype(int) - min(128, int(coverage.max()))) > 2
        expected = coverage >= min(128, int(coverage.max()))
        assert np.array_equal(found[clear], expected[clear])


def test_a_shrunk_rectangle_keeps_its_place():
    mask = make_mask(rectangle((8, 16, 24, 8), (48, 64)))
    assert mask_code(mask, (12, 16)) == rle.encode(rectangle((2, 4, 6, 2), (12, 16)))


def test_a_mask_at_full_size_is_exact():
    mask = make_mask()
    assert mask_code(mask, (48, 64)) == mask.segmentation


def test_a_photo_is_shown_small(photo_rows):
    thumbnail = photo_thumbnail(photo_rows[0], 32, LIMITS)
    assert thumbnail.size_hw == (24, 32)
    assert thumbnail.trouble is None
    assert thumbnail.jpeg().startswith(b"\xff\xd8")


def test_an_embedded_photo_needs_no_source(photo_rows):
    data = Path(photo_rows[0].ref.uri).read_bytes()
    Path(photo_rows[0].ref.uri).unlink()
    assert photo_thumbnail(replace(photo_rows[0], image=data), 32, LIMITS).trouble is None


def test_a_photo_that_cannot_be_shown_is_grey_and_says_why(photo_rows):
    Path(photo_rows[0].ref.uri).unlink()
    Path(photo_rows[1].ref.uri).write_bytes(b"other")
    gone = photo_thumbnail(photo_rows[0], 32, LIMITS)
    changed = photo_thumbnail(photo_rows[1], 32, LIMITS)
    assert gone.trouble == "the photo is no longer where it was"
    assert changed.trouble == "the photo has changed since the run"
    assert (gone.pixels_HWC == GREY).all()

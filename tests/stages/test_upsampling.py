from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.geometry import Geometry
from stages.upsampling import Upsampler

SIDES = st.one_of(st.integers(1, 6), st.integers(1, 300))


def plain(logits: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float64]:
    """The whole photo's logits, by the book."""
    rows, columns = geometry.row_weights(), geometry.column_weights()
    return rows.astype(np.float64) @ logits @ columns.astype(np.float64).T


def blob_logits(seed: int, hw: tuple[int, int]) -> NDArray[np.float32]:
    """A smooth blob somewhere, as masks are, with noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: hw[0], : hw[1]]
    centre_y, centre_x = random.uniform(0, hw[0]), random.uniform(0, hw[1])
    radius = random.uniform(0, hw[0])
    logits = radius - np.hypot(y - centre_y, x - centre_x) + random.normal(0, 1, hw)
    return logits.astype(np.float32)


def whole_mask(upsampler: Upsampler, logits: NDArray[np.float32], hw: tuple[int, int]):  # type: ignore[no-untyped-def]
    mask = np.zeros(hw, bool)
    found = upsampler.upsample(logits)
    if found is not None:
        w, h = found.inside_WH.shape
        mask[found.top : found.top + h, found.left : found.left + w] = found.inside_WH.T
    return mask, found


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, seed=st.integers(0, 10_000))
def test_equals_upsampling_of_the_whole_photo(height: int, width: int, seed: int) -> None:
    geometry = Geometry((height, width), 128)
    logits = blob_logits(seed, geometry.logits_hw)
    expected = plain(logits, geometry)
    mask, found = whole_mask(Upsampler(geometry, 1.0), logits, (height, width))
    clear = np.abs(expected) > 1e-4  # nearer to the threshold, rounding decides
    np.testing.assert_array_equal(mask[clear], (expected > 0)[clear])
    possibly = (expected > -1).sum()
    assert (found is None) == (possibly == 0)
    if found is not None and (np.abs(np.abs(expected) - 1) > 1e-4).all():
        assert found.stability == (expected > 1).sum() / possibly


@pytest.mark.parametrize("original_hw", [(1, 1), (1, 3000), (3000, 1), (7, 2000)])
def test_extreme_photos_are_covered_whole(original_hw: tuple[int, int]) -> None:
    geometry = Geometry(original_hw, 512)
    logits = np.full(geometry.logits_hw, 5, np.float32)
    mask, found = whole_mask(Upsampler(geometry, 1.0), logits, original_hw)
    assert mask.all()
    assert found.stability == 1


def test_only_the_box_that_can_hold_the_mask_is_made() -> None:
    geometry = Geometry((1500, 2250), 512)
    logits = np.full(geometry.logits_hw, -9, np.float32)
    logits[20:24, 30:36] = 9
    found = Upsampler(geometry, 1.0).upsample(logits)
    assert found is not None
    assert found.inside_WH.size < 0.01 * 1500 * 2250


def test_logits_in_the_padding_make_no_mask() -> None:
    geometry = Geometry((50, 512), 512)
    logits = np.full(geometry.logits_hw, -9, np.float32)
    logits[40:] = 9
    assert Upsampler(geometry, 1.0).upsample(logits) is None


def test_nothing_above_the_lower_threshold_is_no_mask_and_no_stability() -> None:
    geometry = Geometry((40, 60), 128)
    assert Upsampler(geometry, 1.0).upsample(np.full((32, 32), -1, np.float32)) is None


def test_a_mask_above_the_lower_threshold_only_is_perfectly_unstable() -> None:
    geometry = Geometry((40, 60), 128)
    found = Upsampler(geometry, 1.0).upsample(np.full((32, 32), -0.5, np.float32))
    assert found is not None
    assert found.stability == 0
    assert not found.inside_WH.any()


def test_not_a_number_is_no_mask() -> None:
    geometry = Geometry((40, 60), 128)
    assert Upsampler(geometry, 1.0).upsample(np.full((32, 32), np.nan, np.float32)) is None

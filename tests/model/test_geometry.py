from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from segment_anything.utils.transforms import ResizeLongestSide

from model.geometry import Geometry

SIDES = st.integers(1, 700)
INPUT_SIZES = st.sampled_from([64, 256, 512, 1024])


def two_step_upsampling(logits: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float64]:
    """As the official package does it, in double precision: in single it is what is less exact."""
    side = (geometry.input_size, geometry.input_size)
    padded = F.interpolate(torch.from_numpy(logits).double()[None, None], side, mode="bilinear")
    height, width = geometry.scaled_hw
    valid = padded[..., :height, :width]
    return F.interpolate(valid, geometry.original_hw, mode="bilinear")[0, 0].numpy()


@given(height=SIDES, width=SIDES, input_size=INPUT_SIZES)
def test_scaled_size_is_the_official_one(height: int, width: int, input_size: int) -> None:
    official = ResizeLongestSide.get_preprocess_shape(height, width, input_size)
    scaled = Geometry((height, width), input_size).scaled_hw
    assert scaled == tuple(max(1, side) for side in official)


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, input_size=st.sampled_from([64, 256]), seed=st.integers(0, 99))
def test_weights_equal_two_step_bilinear_upsampling(
    height: int, width: int, input_size: int, seed: int
) -> None:
    geometry = Geometry((height, width), input_size)
    logits = np.random.default_rng(seed).normal(0, 10, geometry.logits_hw).astype(np.float32)
    by_weights = geometry.row_weights() @ logits @ geometry.column_weights().T
    np.testing.assert_allclose(by_weights, two_step_upsampling(logits, geometry), atol=2e-5)


@pytest.mark.parametrize("original_hw", [(1, 1), (1, 3000), (3000, 1), (1500, 2250), (3, 5000)])
def test_weights_of_extreme_photos_are_means(original_hw: tuple[int, int]) -> None:
    geometry = Geometry(original_hw, 512)
    for weights, length in (
        (geometry.row_weights(), original_hw[0]),
        (geometry.column_weights(), original_hw[1]),
    ):
        assert weights.shape == (length, 128)
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_cached_weights_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Geometry((10, 20), 64).row_weights()[0, 0] = 1


@given(height=SIDES, width=SIDES, x=st.floats(0, 1), y=st.floats(0, 1))
def test_coordinates_go_to_the_input_and_back(height: int, width: int, x: float, y: float) -> None:
    geometry = Geometry((height, width), 512)
    point = np.array([[x * width, y * height]], np.float32)
    there = geometry.to_input_xy(point)
    assert (there <= np.array(geometry.scaled_hw[::-1]) + 1e-3).all()
    np.testing.assert_allclose(geometry.to_original_xy(there), point, rtol=1e-5, atol=1e-4)


def test_coordinates_are_the_official_ones() -> None:
    points = np.array([[0.0, 0.0], [17.5, 99.25], [639.0, 479.0]], np.float32)
    official = ResizeLongestSide(1024).apply_coords(points, (480, 640))
    np.testing.assert_allclose(Geometry((480, 640), 1024).to_input_xy(points), official, rtol=1e-6)


@pytest.mark.parametrize("original_hw", [(0, 5), (5, 0), (-1, 5)])
def test_impossible_sizes_are_refused(original_hw: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="impossible geometry"):
        Geometry(original_hw, 512)

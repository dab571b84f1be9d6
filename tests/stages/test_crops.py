from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_anything.utils import amg

from stages.crops import Crop, crops_of, grid_points_xy, points_per_side

PAPER_OVERLAP = 512 / 1500


@given(height=st.integers(20, 2000), width=st.integers(20, 2000), layers=st.integers(0, 2))
def test_crops_are_those_of_the_released_generator(height: int, width: int, layers: int) -> None:
    boxes, box_layers = amg.generate_crop_boxes((height, width), layers, PAPER_OVERLAP)
    crops = crops_of((height, width), layers, PAPER_OVERLAP)
    ours = [[c.left, c.top, c.left + c.width, c.top + c.height] for c in crops]
    assert ours == boxes
    assert [crop.layer for crop in crops] == box_layers


@given(height=st.integers(1, 40), width=st.integers(1, 40), layers=st.integers(1, 3))
def test_crops_of_small_photos_hold_pixels_and_cover_all(
    height: int, width: int, layers: int
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    covered = {layer: np.zeros((height, width), bool) for layer in range(layers + 1)}
    for crop in crops_of((height, width), layers, PAPER_OVERLAP):
        assert crop.cut(image).shape == (crop.height, crop.width, 3)
        assert min(crop.width, crop.height) >= 1
        rows = slice(crop.top, crop.top + crop.height)
        covered[crop.layer][rows, crop.left : crop.left + crop.width] = True
    assert all(mask.all() for mask in covered.values())


def test_a_crop_is_a_view_of_the_original_resolution() -> None:
    image = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)
    cut = Crop(left=2, top=3, width=4, height=5, layer=1).cut(image)
    assert np.shares_memory(cut, image)
    np.testing.assert_array_equal(cut, image[3:8, 2:6])


@pytest.mark.parametrize(("side", "size_hw"), [(1, (7, 9)), (4, (100, 50)), (32, (1500, 2250))])
def test_grid_is_that_of_the_released_generator(side: int, size_hw: tuple[int, int]) -> None:
    official = amg.build_point_grid(side) * np.array(size_hw[::-1])
    np.testing.assert_allclose(grid_points_xy(side, size_hw), official, rtol=1e-6)


def test_the_papers_grids_are_32_16_and_8() -> None:
    assert [points_per_side(layer, 32, 2) for layer in (0, 1, 2)] == [32, 16, 8]


def test_a_grid_never_loses_its_last_point() -> None:
    assert points_per_side(3, 4, 2) == 1

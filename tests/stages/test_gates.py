from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segment_anything.utils import amg

from stages import gates
from stages.crops import Crop, crops_of
from stages.parameters import AutomaticParameters

IMAGE_HW = (300, 400)
WHOLE = Crop(0, 0, 400, 300, 0)
CORNER = Crop(0, 0, 240, 180, 1)


def reject(box: tuple[int, int, int, int], area: int, crop: Crop = WHOLE) -> str | None:
    return gates.rejection(
        box_xyxy=box,
        area_px=area,
        crop=crop,
        image_hw=IMAGE_HW,
        parameters=AutomaticParameters(),
    )


def test_an_ordinary_mask_is_kept() -> None:
    assert reject((50, 60, 90, 99), 1000) is None


def test_a_mask_without_pixels_is_empty() -> None:
    assert reject((5, 5, 5, 5), 0) == gates.EMPTY


@pytest.mark.parametrize(("area", "reason"), [(113_999, None), (114_000, gates.COVERS_IMAGE)])
def test_a_mask_over_95_percent_of_the_image_is_dropped(area: int, reason: str | None) -> None:
    assert reject((0, 0, 400, 300), area) == reason


def test_share_is_of_the_image_not_of_the_crop() -> None:
    assert reject((0, 0, 200, 150), 200 * 150, Crop(0, 0, 200, 150, 1)) != gates.COVERS_IMAGE


@pytest.mark.parametrize("right", [221, 240])
def test_a_mask_near_the_inner_border_of_its_crop_is_dropped(right: int) -> None:
    assert reject((100, 50, right, 90), 500, CORNER) == gates.TOUCHES_CROP_EDGE


def test_a_mask_away_from_the_inner_border_is_kept() -> None:
    assert reject((100, 50, 220, 90), 500, CORNER) is None


def test_the_images_own_border_is_no_inner_border() -> None:
    assert reject((0, 0, 100, 100), 500, CORNER) is None
    assert reject((0, 0, 390, 290), 500, WHOLE) is None


@given(st.integers(0, 20), st.tuples(*[st.floats(0, 1)] * 4))
def test_edges_are_those_of_the_released_code(
    crop_index: int, corners: tuple[float, float, float, float]
) -> None:
    crop = crops_of(IMAGE_HW, 2, 512 / 1500)[crop_index]
    x = sorted(int(value * crop.width) for value in corners[:2])
    y = sorted(int(value * crop.height) for value in corners[2:])
    official = amg.is_box_near_crop_edge(
        torch.tensor([[x[0], y[0], x[1], y[1]]]),
        [crop.left, crop.top, crop.left + crop.width, crop.top + crop.height],
        [0, 0, IMAGE_HW[1], IMAGE_HW[0]],
    )
    box = (crop.left + x[0], crop.top + y[0], crop.left + x[1] + 1, crop.top + y[1] + 1)
    assert gates.touches_inner_edge(box, crop, IMAGE_HW, 20) == bool(official[0])


def test_reasons_are_listed_once_in_the_order_of_the_chain() -> None:
    constants = {
        value for name, value in vars(gates).items() if name.isupper() and isinstance(value, str)
    }
    assert constants == set(gates.DROP_REASONS)
    assert len(gates.DROP_REASONS) == len(constants)
    assert gates.DROP_REASONS[0] == gates.BELOW_PREDICTED_IOU

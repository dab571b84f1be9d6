from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.ops import nms as torchvision_nms

from stages.nms import box_iou, keep_by_box_nms


@st.composite
def boxes_xyxy(draw: st.DrawFn) -> NDArray[np.float64]:
    side = st.integers(0, 12)
    boxes = draw(st.lists(st.tuples(side, side, side, side), max_size=25))
    return np.array([[x, y, x + w, y + h] for x, y, w, h in boxes], dtype=np.float64).reshape(-1, 4)


def iou_of_two(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    united = sum(areas) - shared
    return shared / united if united > 0 else 0.0


@given(boxes_xyxy(), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_equals_the_plain_quadratic_form(boxes: NDArray[np.float64], max_iou: float) -> None:
    kept: list[int] = []
    for i in range(len(boxes)):
        if all(iou_of_two(boxes[i], boxes[j]) <= max_iou for j in kept):
            kept.append(i)
    assert keep_by_box_nms(boxes, np.arange(len(boxes)), max_iou).tolist() == kept


@settings(deadline=None)
@given(boxes_xyxy(), st.integers(0, 1000))
def test_equals_torchvision(boxes: NDArray[np.float64], seed: int) -> None:
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    scores = np.random.default_rng(seed).permutation(len(boxes)).astype(np.float64)
    ranking = np.argsort(-scores)
    # 0.71, not 0.7: at exactly 7 / 10 the two round differently.
    expected = torchvision_nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.71)
    assert keep_by_box_nms(boxes, ranking, 0.71).tolist() == expected.tolist()


def test_the_first_of_equal_boxes_wins() -> None:
    boxes = np.array([[0, 0, 4, 4]] * 3, np.float64)
    assert keep_by_box_nms(boxes, np.array([2, 0, 1]), 0.7).tolist() == [2]


def test_no_boxes_keep_none() -> None:
    assert keep_by_box_nms(np.zeros((0, 4)), np.arange(0), 0.7).tolist() == []


def test_boxes_without_area_overlap_nothing() -> None:
    point = np.array([3, 3, 3, 3], np.float64)
    assert box_iou(point, np.array([point])).tolist() == [0]

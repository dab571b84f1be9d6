from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.prompts import Prompt


def test_plain_lists_become_typed_arrays() -> None:
    prompt = Prompt.of([[1, 2], [3, 4]], [1, 0], [0, 0, 9, 9])
    assert prompt.points_xy.dtype == np.float32
    assert prompt.point_labels.dtype == np.int8
    assert prompt.box_xyxy is not None
    assert prompt.box_xyxy.tolist() == [0, 0, 9, 9]


def test_points_without_labels_are_positive() -> None:
    assert Prompt.of([[1, 2], [3, 4]]).point_labels.tolist() == [1, 1]


def test_a_single_point_may_be_written_flat() -> None:
    assert Prompt.of([5, 6]).points_xy.tolist() == [[5, 6]]


def test_a_box_or_earlier_logits_alone_are_a_prompt() -> None:
    assert not len(Prompt.of(box_xyxy=[1, 2, 3, 4]).points_xy)
    assert Prompt.of(mask_logits=np.zeros((8, 8), np.float32)).mask_logits is not None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "an empty prompt"),
        ({"points_xy": [[1, 2]], "point_labels": [1, 1]}, "one label a point"),
        ({"points_xy": [[1, 2]], "point_labels": [2]}, r"labels are 1 or 0, got \[2\]"),
        ({"points_xy": [[1, float("nan")]]}, "not finite"),
        ({"points_xy": [[1, float("inf")]]}, "not finite"),
        ({"box_xyxy": [5, 0, 1, 9]}, "left <= right"),
        ({"box_xyxy": [0, 9, 1, 5]}, "top <= bottom"),
        ({"box_xyxy": [0, 0, 1]}, "four finite numbers"),
        ({"box_xyxy": [0, 0, 1, float("nan")]}, "four finite numbers"),
        ({"mask_logits": np.zeros(5, np.float32)}, r"expected \(h, w\)"),
    ],
)
def test_nonsense_is_refused_and_named(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Prompt.of(**parts)


def test_points_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(K, 2\)"):
        Prompt(np.zeros(2, np.float32), np.zeros(2, np.int8))

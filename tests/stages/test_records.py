from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from stages.records import ErrorRecord, ImageRow, PromptRecord
from tests.factories import make_failed_row, make_mask, make_ref, make_row


def test_proposals_are_kept_and_dropped() -> None:
    row = make_row(dropped={"below_stability": 3, "too_small": 4})
    assert row.proposals == 1 + 3 + 4


def test_a_failed_photo_is_a_row_too() -> None:
    row = make_failed_row(kind="truncated")
    assert row.error == ErrorRecord("truncated", "the file ends early")
    assert row.proposals == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"origin": "dream"}, "origin is 'dream', expected one of automatic, detector, human"),
        ({"level": "half"}, "level is 'half'"),
        ({"seconds_from": "watch"}, "seconds_from is 'watch'"),
        ({"predicted_iou": float("nan")}, "predicted_iou is nan, not finite"),
        ({"stability_score": float("inf")}, "stability_score is inf"),
        ({"area": -1}, "area is -1 px"),
        ({"bbox": (1.0, 2.0, 3.0)}, "bbox is x, y, w, h"),
    ],
)
def test_a_mask_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_mask(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stage": "dream"}, "stage is 'dream'"),
        ({"error": ErrorRecord("x", "y")}, "an error and masks"),
        ({"sha256": None}, "no size or sha256"),
        ({"width": None}, "no size or sha256"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_row(**fields)


def test_a_row_without_size_needs_an_error() -> None:
    with pytest.raises(ValueError, match="no size or sha256, and no error"):
        ImageRow(make_ref(), "automatic")


def test_every_point_has_a_label() -> None:
    with pytest.raises(ValueError, match="1 points but 2 labels"):
        PromptRecord(((1.0, 2.0),), (1, 0))


def test_records_are_not_edited_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        make_mask().area = 5  # type: ignore[misc]

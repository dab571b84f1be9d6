from __future__ import annotations

import numpy as np
import pytest

from stages import rle
from stages.semi_automatic import SemiAutomaticParameters, propose_from_boxes
from tests.fakes import MODEL_ID, DiscSegmenter, FixedBoxes

SIZE_HW = (96, 128)
LEFT, RIGHT = (12.0, 15.0, 40.0, 45.0), (70.0, 40.0, 110.0, 80.0)
PARAMETERS = SemiAutomaticParameters(min_predicted_iou=0.8, min_stability=0.5)


def photo() -> np.ndarray:
    pixels = np.full((*SIZE_HW, 3), 40, np.uint8)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    pixels[np.hypot(columns - 26, rows - 30) < 13] = (200, 0, 30)
    pixels[np.hypot(columns - 90, rows - 60) < 20] = (0, 200, 30)
    return pixels


def propose(*boxes, **settings):
    return propose_from_boxes(
        DiscSegmenter(),
        FixedBoxes(*boxes),
        photo(),
        image_id="0" * 32,
        parameters=PARAMETERS.model_copy(update=settings),
    )


def test_boxes_become_masks_that_say_where_they_come_from():
    found = propose(LEFT, RIGHT)
    assert found.proposals == 2
    assert {mask.prompt.box_xyxy for mask in found.masks if mask.prompt} == {LEFT, RIGHT}
    for mask in found.masks:
        assert (mask.origin, mask.model_id, mask.level) == ("detector", MODEL_ID, "whole")
        left, top, right, bottom = mask.prompt.box_xyxy
        middle = int((top + bottom) / 2), int((left + right) / 2)
        assert rle.decode(mask.segmentation)[middle]
        assert mask.area == rle.area_px(mask.segmentation)


def test_every_proposal_is_kept_or_dropped_by_reason():
    twice = propose(LEFT, LEFT, RIGHT)
    assert twice.dropped == {"duplicate_in_crop": 1}
    assert propose(LEFT, RIGHT, min_predicted_iou=1.1).dropped == {"below_predicted_iou": 2}
    few = propose(LEFT, RIGHT, most_masks=1)
    assert (len(few.masks), few.dropped) == (1, {"too_many": 1})
    assert propose(LEFT, RIGHT, min_box_score=0.8).proposals == 1
    nothing = propose()
    assert (nothing.masks, nothing.proposals) == ((), 0)


def test_thresholds_are_the_users_then_the_checkpoints_then_the_papers():
    assert PARAMETERS.settled({"predicted_iou": 0.6, "stability": 0.7}) == PARAMETERS
    open_ones = SemiAutomaticParameters()
    settled = open_ones.settled({"predicted_iou": 0.6, "stability": 0.7})
    assert (settled.min_predicted_iou, settled.min_stability) == (0.6, 0.7)
    assert open_ones.settled(None).min_predicted_iou == 0.88
    with pytest.raises(ValueError, match="a threshold is open"):
        propose(LEFT, min_stability=None)

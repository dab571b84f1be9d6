from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.detection.features import View, views_of
from engine.training.annotated import AnnotatedPhoto

PHOTO = AnnotatedPhoto(
    path=Path("none.png"),
    height_px=40,
    width_px=60,
    boxes_xywh=np.array([[2, 4, 10, 8], [40, 20, 16, 18]], np.float32),
    segmentations=(),
)
# A photo whose objects are what is not 0, so that boxes can be read off its pixels.
PIXELS = np.zeros((40, 60, 3), np.uint8)
PIXELS[4:12, 2:12] = 1
PIXELS[20:38, 40:56] = 2


def box_of(pixels_HWC: np.ndarray, value: int) -> list[float]:
    rows, columns = np.nonzero(pixels_HWC[..., 0] == value)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_boxes_follow_what_is_cut_out_and_mirrored():
    for window in (None, (30, 10, 60, 40)):
        for is_mirrored in (False, True):
            view = View(PHOTO, is_mirrored, window)
            pixels = view.cut_from(PIXELS)
            assert pixels.shape[:2] == view.size_hw
            there = [value for value in (1, 2) if (pixels == value).any()]
            assert view.boxes_xyxy.tolist() == [box_of(pixels, value) for value in there]


def test_an_object_belongs_to_the_part_that_its_middle_is_in():
    view = View(PHOTO, window_xyxy=(0, 0, 45, 40))
    assert view.boxes_xyxy.tolist() == [[2, 4, 12, 12]]
    view = View(PHOTO, window_xyxy=(0, 0, 50, 30))
    assert view.boxes_xyxy.tolist() == [[2, 4, 12, 12], [40, 20, 50, 30]]


def test_parts_hold_an_object_and_are_the_same_for_the_same_seed():
    views = views_of([PHOTO], mirrored=True, zoomed=20, seed=3)
    assert views == views_of([PHOTO], mirrored=True, zoomed=20, seed=3)
    assert [view.is_mirrored for view in views[:2]] == [False, True]
    for view in views[2:]:
        left, top, right, bottom = view.edges_xyxy
        assert 0 <= left < right <= 60
        assert 0 <= top < bottom <= 40
        assert len(view.boxes_xyxy) >= 1
    assert len(views_of([PHOTO], mirrored=False, zoomed=0, seed=3)) == 1

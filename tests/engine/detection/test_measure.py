from __future__ import annotations

import numpy as np

from engine.detection.measure import average_precision, judge, recall

KNOWN = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32)


def judged(*boxes, scores=None):
    found = np.array(boxes, np.float32).reshape(-1, 4)
    sure = np.linspace(0.9, 0.1, len(found)) if scores is None else np.array(scores)
    return judge(found, sure.astype(np.float32), KNOWN)


def test_each_known_object_is_found_once():
    photo = judged([0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 40, 39])
    assert photo.is_hit.tolist() == [True, False, True]
    assert recall([photo]) == 1
    assert recall([photo], most_boxes=2) == 0.5


def test_average_precision_punishes_wrong_boxes_that_are_sure():
    right = judged(*KNOWN.tolist())
    assert average_precision([right]) == 1
    late = judged([50, 50, 60, 60], *KNOWN.tolist())
    assert average_precision([late]) == np.mean([2 / 3, 2 / 3])
    assert average_precision([judged()]) == 0
    assert average_precision([]) == 0
    assert recall([judged()]) == 0

from __future__ import annotations

import numpy as np
import pytest

from engine.backend.conversation import Conversation
from engine.simulation.annotator import AnnotatorParameters, Shown, annotate
from tests.factories import rectangle

SIZE = (60, 80)
OBJECT = rectangle((20, 10, 30, 20), SIZE)


class Scripted:
    """Shows one mask after another."""

    model_id = "d15c" * 4

    def __init__(self, *masks: np.ndarray) -> None:
        self._masks = masks
        self.heard: list[Conversation] = []

    def show(self, conversation: Conversation) -> Shown:
        self.heard.append(conversation)
        return Shown(self._masks[len(self.heard) - 1], 0.9)


def work(*masks: np.ndarray, ignored: np.ndarray | None = None, **parameters: object):
    answers = Scripted(*masks)
    done = annotate(
        OBJECT, ignored, "0" * 32, answers, AnnotatorParameters.model_validate(parameters)
    )
    return done, answers.heard


def test_a_good_first_answer_is_accepted_after_one_click_inside_the_object() -> None:
    done, heard = work(OBJECT)

    assert (done.is_accepted, done.clicks, done.iou) == (True, 1, 1.0)
    ((x, y),) = heard[0].prompt.points_xy
    assert OBJECT[int(y), int(x)]


def test_the_next_click_says_what_is_wrong() -> None:
    too_much = rectangle((20, 10, 60, 20), SIZE)
    too_little = rectangle((20, 10, 8, 20), SIZE)

    done, heard = work(too_much, too_little, OBJECT)

    assert done.clicks == 3
    assert heard[-1].prompt.point_labels == (1, 0, 1)
    assert [talk.clicks for talk in heard] == [1, 2, 3]


def test_an_object_is_given_up_after_the_most_clicks() -> None:
    nothing = np.zeros(SIZE, bool)

    done, heard = work(*[nothing] * 4, most_clicks=4)

    assert not done.is_accepted
    assert (done.clicks, len(heard)) == (4, 4)


@pytest.mark.parametrize(("accept_iou", "accepted"), [(0.5, True), (0.51, False)])
def test_the_bar_is_the_annotators_own(accept_iou: float, accepted: bool) -> None:
    half = rectangle((20, 10, 15, 20), SIZE)

    done, _ = work(half, accept_iou=accept_iou, most_clicks=1)

    assert done.is_accepted is accepted
    assert done.iou == 0.5


def test_pixels_that_do_not_count_are_not_clicked_on() -> None:
    wide = rectangle((15, 10, 35, 20), SIZE)

    done, heard = work(wide, ignored=wide & ~OBJECT, accept_iou=1.0)

    assert done.is_accepted
    assert len(heard) == 1

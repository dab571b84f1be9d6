from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backend.conversation import Conversation
from engine.backend.errors import RequestError
from engine.backend.labels import GRANULARITIES, SmartLabel
from engine.backend.prompts import check_size, conversation_of, regions_of, smart_label_of
from engine.backend.protocol import PromptRegion
from stages.records import PromptRecord

PHOTO = "0" * 32


def as_sent(regions: list[dict[str, object]]) -> list[PromptRegion]:
    return [PromptRegion.model_validate_json(json.dumps(region)) for region in regions]


def click(x: float, y: float, **fields: object) -> PromptRegion:
    value = {"x": x, "y": y, "width": 0.3, "keypointlabels": ["Object"]}
    return PromptRegion.model_validate({"type": "keypointlabels", "value": value} | fields)


@given(st.data())
def test_prompts_come_back_from_the_page_as_they_were(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 5000)), data.draw(st.integers(1, 5000))
    xs, ys = st.integers(0, width - 1), st.integers(0, height - 1)
    points = data.draw(st.lists(st.tuples(xs, ys), min_size=1, max_size=4))
    left, right = sorted([data.draw(xs), data.draw(xs)])
    top, bottom = sorted([data.draw(ys), data.draw(ys)])
    prompt = PromptRecord(
        points_xy=tuple((float(x), float(y)) for x, y in points),
        point_labels=tuple(data.draw(st.sampled_from((0, 1))) for _ in points),
        box_xyxy=data.draw(st.sampled_from([None, (left, top, right, bottom)])),
    )
    said = Conversation(PHOTO, prompt, data.draw(st.sampled_from(GRANULARITIES)))

    heard = conversation_of(as_sent(regions_of(said, (height, width))), PHOTO, (height, width))

    assert heard == said


def test_a_click_beside_the_photo_counts_as_one_on_its_edge() -> None:
    heard = conversation_of([click(-3, 101)], PHOTO, (100, 200))

    assert heard.prompt.points_xy == ((0.0, 99.0),)


def test_only_an_explicit_no_makes_a_click_negative() -> None:
    clicks = [click(1, 1), click(2, 2, is_positive=None), click(3, 3, is_positive=False)]

    assert conversation_of(clicks, PHOTO, (9, 9)).prompt.point_labels == (1, 1, 0)


def test_the_label_an_object_was_begun_with_holds() -> None:
    first = click(1, 1)
    first = first.model_copy(
        update={"value": first.value.model_copy(update={"keypointlabels": ["bolt (part)"]})}
    )

    assert smart_label_of([first, click(2, 2)]) == SmartLabel("bolt", "part")


def test_prompts_on_a_photo_of_another_size_are_refused() -> None:
    sized = click(1, 1, original_width=640, original_height=480)

    check_size([sized, click(2, 2)], (480, 640))
    with pytest.raises(RequestError, match=r"640 x 480 px.* 64 x 48 px"):
        check_size([sized], (48, 64))

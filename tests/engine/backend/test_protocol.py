from __future__ import annotations

import json

import pytest

from engine.backend.errors import RequestError
from engine.backend.protocol import MOST_PROMPTS, read_predict_request


def body(**fields: object) -> bytes:
    return json.dumps({"tasks": [{"id": 3, "data": {"image": "/data/x.jpg"}}]} | fields).encode()


def test_annotations_and_unknown_fields_are_passed_over() -> None:
    task = {"id": 3, "data": {}, "annotations": [{"result": [{"value": {"rle": [1, 2]}}]}]}

    request = read_predict_request(body(tasks=[task], model_version="x", project="12.1699999999"))

    assert request.tasks[0].id == 3
    assert request.project_id == "12"
    assert request.params.context is None


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"{", "not JSON"),
        (b"[]", "the body"),
        (b"{}", "tasks: Field required"),
        (body(params={"context": {"result": [{"type": "choices", "value": {}}]}}), "type"),
        (body(params={"context": {"result": [{}] * (MOST_PROMPTS + 1)}}), "at most 100"),
        (
            body(
                params={
                    "context": {
                        "result": [{"type": "keypointlabels", "value": {"x": "NaN", "y": 1}}]
                    }
                }
            ),
            "value.x",
        ),
    ],
)
def test_a_broken_request_is_told_where_it_is_broken(data: bytes, where: str) -> None:
    with pytest.raises(RequestError, match=where):
        read_predict_request(data)


def test_what_was_sent_is_not_in_the_message() -> None:
    with pytest.raises(RequestError) as raised:
        read_predict_request(body(tasks="s3cret"))
    assert "s3cret" not in str(raised.value)

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.requests import Request

from engine.backend.conversation import Conversation, Interlocutor, mask_of
from engine.backend.credentials import Credentials
from engine.backend.errors import RequestError
from engine.backend.security import BodyRoom, drop_body
from engine.clicks.bell import Bell
from engine.label_studio.brush import decode_brush
from stages.records import PromptRecord
from tests.engine.backend.backends import AUTH, Served, box, click, predict_body, serve_photos
from tests.engine.backend.test_label_set_up import SET_UP
from tests.factories import make_pixels
from tests.fakes import MODEL_ID, DiscSegmenter

ADDRESSES = (
    ("GET", "/health"),
    ("GET", "/versions"),
    ("POST", "/setup"),
    ("POST", "/predict"),
    ("POST", "/webhook"),
    ("GET", "/nowhere"),
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    backend = serve_photos(tmp_path)
    with backend.client:
        yield backend


def masks(response: object) -> list[NDArray[np.bool_]]:
    (answer,) = response.json()["results"]  # type: ignore[attr-defined]
    return [decode_brush(region["value"]["rle"], (48, 64)) for region in answer["result"]]


def expected(number: int, prompt: PromptRecord) -> NDArray[np.bool_]:
    """The model's own answer, asked without any service."""
    segmenter = DiscSegmenter()
    embedding = segmenter.embed(make_pixels(seed=number))
    answer = Interlocutor(segmenter).answer(embedding, Conversation("x", prompt))
    return mask_of(answer, embedding)


def test_health_and_setup_name_the_model(served: Served) -> None:
    setup = {"project": "7.1", "schema": SET_UP, "hostname": "http://x", "access_token": "t0ken"}

    assert served.client.get("/health", auth=AUTH).json()["status"] == "UP"
    assert served.client.get("/versions", auth=AUTH).json() == {"versions": [MODEL_ID]}
    answer = served.client.post("/setup", json=setup, auth=AUTH)
    assert answer.json() == {"model_version": MODEL_ID}


def test_a_click_gets_the_models_own_mask(served: Served) -> None:
    answered = served.predict([click(50, 50)])

    (mask,) = masks(answered)
    prompt = PromptRecord(points_xy=((31.5, 23.5),), point_labels=(1,))
    np.testing.assert_array_equal(mask, expected(0, prompt))
    (region,) = answered.json()["results"][0]["result"]
    assert (region["type"], region["from_name"], region["to_name"]) == (
        "brushlabels",
        "mask",
        "image",
    )
    assert region["value"]["brushlabels"] == ["Object"]
    assert answered.json()["results"][0]["model_version"] == MODEL_ID


def test_clicks_add_up_and_a_box_is_a_prompt_too(served: Served) -> None:
    two = [click(50, 50), click(10, 10, positive=False, name="p2")]
    prompt = PromptRecord(points_xy=((31.5, 23.5), (5.9, 4.3)), point_labels=(1, 0))
    np.testing.assert_array_equal(masks(served.predict(two))[0], expected(0, prompt))

    whole = PromptRecord(box_xyxy=(0.0, 0.0, 63.0, 47.0))
    np.testing.assert_array_equal(
        masks(served.predict([box(0, 0, 100, 100)]))[0], expected(0, whole)
    )


def test_opening_a_task_leaves_no_prediction_and_embeds_its_photo_ahead(served: Served) -> None:
    answered = served.predict(None, number=1)

    assert answered.json()["results"] == [[]]  # with one, the server would not ask a second time
    for _ in range(100):
        if (served.folder / "store" / MODEL_ID).exists():
            break
        served.predict([click(50, 50)], number=1)
    (entry, *_) = served.log.entries("7", "2")
    assert entry.is_opening


def test_a_batch_of_tasks_is_answered_with_nothing_for_each(served: Served) -> None:
    body = predict_body(served.task(0), None) | {"tasks": [served.task(0), served.task(1)]}

    answered = served.client.post("/predict", json=body, auth=AUTH)

    assert [answer["result"] for answer in answered.json()["results"]] == [[], []]


def test_only_negative_clicks_get_an_empty_result(served: Served) -> None:
    assert masks(served.predict([click(50, 50, positive=False)])) == []


def test_every_prompt_is_logged_with_the_region_it_got(served: Served) -> None:
    first = served.predict([click(50, 50)]).json()["results"][0]["result"][0]["id"]
    second = served.predict([click(50, 50), click(9, 9, name="p2")])
    second = second.json()["results"][0]["result"][0]["id"]

    one, two = served.log.entries("7", "1")

    assert (one.region_id, two.region_id) == (first, second)
    assert first != second
    assert (one.clicks, two.clicks) == (1, 2)
    assert two.prompt_ids == ("p1", "p2")
    assert one.image_id == served.photos[0].image_id
    assert one.model_id == MODEL_ID
    assert 0 < one.milliseconds < 60_000


def test_the_projects_own_controls_and_labels_are_used(served: Served) -> None:
    task = served.task(0)
    task["data"] = {"picture": "/data/local-files/?d=000.png"}
    prompt = click(50, 50)
    prompt["value"]["keypointlabels"] = ["bolt (whole)"]
    body = predict_body(task, [prompt]) | {"label_config": SET_UP}

    (region,) = served.client.post("/predict", json=body, auth=AUTH).json()["results"][0]["result"]

    assert (region["from_name"], region["to_name"]) == ("shape", "photo")
    assert region["value"]["brushlabels"] == ["bolt"]


def test_many_annotators_on_many_photos_do_not_mix(served: Served) -> None:
    alone = [masks(served.predict([click(50, 50)], number=n))[0] for n in range(3)]

    with ThreadPoolExecutor(8) as pool:
        numbers = [n % 3 for n in range(24)]
        together = list(pool.map(lambda n: served.predict([click(50, 50)], number=n), numbers))

    for number, answered in zip(numbers, together, strict=True):
        np.testing.assert_array_equal(masks(answered)[0], alone[number])


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize(
    "auth", [None, ("mask-engine", "wrong"), ("other", AUTH[1]), ("mask-engine", "")]
)
def test_nothing_is_told_without_the_right_credentials(
    served: Served, method: str, path: str, auth: tuple[str, str] | None
) -> None:
    answered = served.client.request(method, path, auth=auth)

    assert answered.status_code == 401
    assert MODEL_ID not in answered.text


@pytest.mark.parametrize("header", ["", "Basic", "Basic ???", "Basic Og==", "Bearer x", "Token x"])
def test_odd_authorization_headers_are_refused(served: Served, header: str) -> None:
    answered = served.client.get("/health", headers={"Authorization": header})

    assert answered.status_code == 401


def test_a_body_over_the_limit_is_refused_announced_or_not(tmp_path: Path) -> None:
    served = serve_photos(tmp_path, max_body_mib=1)
    mebibyte = b"x" * 2**20

    def pieces() -> Iterator[bytes]:
        yield mebibyte
        yield mebibyte

    for path in ("/predict", "/setup", "/webhook"):
        for content in (mebibyte * 2, pieces()):
            answered = served.client.post(path, content=content, auth=AUTH)
            assert answered.status_code == 413


def test_bodies_have_room_together_and_those_nobody_reads_take_none() -> None:
    def request_of(*chunks: bytes) -> Request:
        waiting = [*chunks]

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

        return Request({"type": "http", "headers": []}, receive)

    async def ask() -> None:
        room = BodyRoom(max_bytes=4, together=6)
        async with room.body(request_of(b"ab", b"cd")) as first:
            assert first == b"abcd"
            with pytest.raises(RequestError, match="try again") as told:
                async with room.body(request_of(b"ab", b"cd")):
                    pass
            assert told.value.status == 503
            await drop_body(request_of(b"ab", b"cd"), 4)
        async with room.body(request_of(b"ab", b"cd")) as again:
            assert again == b"abcd"

    asyncio.run(ask())


def test_a_photo_that_cannot_be_read_is_logged_without_its_address(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    (served.folder / "photos" / "000.png").unlink()
    assert served.predict([click(50, 50)]).status_code == 422
    said = [r.getMessage() for r in caplog.records if r.name.startswith("engine")]
    assert any("vanished" in line for line in said)
    assert not any("000.png" in line for line in said)


def test_a_click_without_a_label_is_one_on_the_plain_object(served: Served) -> None:
    labelled, plain = click(50, 50), click(50, 50) | {"type": "keypoint"}
    plain["value"] = {key: labelled["value"][key] for key in ("x", "y", "width")}
    answers = [served.predict([prompt]) for prompt in (labelled, plain)]
    (first,), (second,) = (masks(answer) for answer in answers)
    assert np.array_equal(first, second)
    (answer,) = answers[1].json()["results"]
    assert answer["result"][0]["value"]["brushlabels"] == ["Object"]


def test_a_label_beside_a_click_says_what_is_meant_and_is_no_click(served: Served) -> None:
    place = {"x": 50, "y": 50, "width": 0.3}
    plain = click(50, 50) | {"type": "keypoint", "value": place}
    beside = plain | {"type": "labels", "value": place | {"labels": ["Object (part)"]}}
    del beside["is_positive"]
    own = click(50, 50)
    own["value"]["keypointlabels"] = ["Object (part)"]
    answers = [served.predict([plain, beside]), served.predict([own])]
    (first,), (second,) = (masks(answer) for answer in answers)
    assert np.array_equal(first, second)
    asked = [entry for entry in served.log.entries("7", "1") if entry.prompt is not None]
    assert [entry.clicks for entry in asked] == [1, 1]
    assert served.predict([beside]).json()["results"][0]["result"] == []


def test_the_bells_key_opens_the_webhook_alone_and_wakes_who_collects(served: Served) -> None:
    bell = Credentials(*AUTH).of_the_bell
    for method, path in ADDRESSES:
        status = served.client.request(method, path, auth=(bell.user, bell.password)).status_code
        assert (status == 200) == (path == "/webhook"), path
    assert served.client.post("/webhook", auth=AUTH).status_code == 200
    assert Bell(served.log.folder).mark() > 0


def test_what_is_secret_is_neither_logged_nor_sent_back(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-t0ken"
    served.client.post("/setup", json={"access_token": secret}, auth=AUTH)
    served.client.post("/webhook", json={"token": secret}, auth=AUTH)
    task = {"id": 1, "data": {"image": f"https://elsewhere/x.png?signature={secret}"}}
    answers = [
        served.client.post("/predict", json=predict_body(task, [click(1, 1)]), auth=AUTH),
        served.client.post("/predict", json={"tasks": secret}, auth=AUTH),
        served.client.post("/predict", content=f"{{{secret}", auth=AUTH),
    ]

    assert [answer.status_code for answer in answers] == [403, 400, 400]
    assert all(secret not in answer.text for answer in answers)
    said = [r.getMessage() for r in caplog.records if r.name.startswith("engine")]
    assert said
    assert not any(secret in message or AUTH[1] in message for message in said)


def test_a_photo_that_cannot_be_decoded_is_told_and_the_service_goes_on(served: Served) -> None:
    (served.folder / "photos" / "000.png").write_bytes(b"no photo")

    broken = served.predict([click(50, 50)])

    assert broken.status_code == 422
    assert "not_an_image" in broken.json()["error"]
    assert str(served.folder) not in broken.text
    assert served.predict([click(50, 50)], number=1).status_code == 200


def test_a_defect_is_one_requests_answer(tmp_path: Path) -> None:
    class Broken(DiscSegmenter):
        is_broken = False

        def segment(self, *args: object, **options: object) -> object:  # type: ignore[override]
            if self.is_broken:
                raise RuntimeError("s3cret")
            return super().segment(*args, **options)  # type: ignore[arg-type]

    segmenter = Broken()
    served = serve_photos(tmp_path, segmenter)
    segmenter.is_broken = True
    answered = served.predict([click(50, 50)])
    segmenter.is_broken = False

    assert answered.status_code == 500
    assert answered.json() == {"error": "unexpected RuntimeError; the backend's own log says where"}
    assert served.predict([click(50, 50)]).status_code == 200


def test_a_log_that_cannot_be_written_is_told(served: Served) -> None:
    (served.folder / "clicks" / "project-7").write_text("in the way")

    answered = served.predict([click(50, 50)])

    assert answered.status_code == 503
    assert "log of prompts" in answered.json()["error"]


def test_a_restart_in_the_middle_of_an_object_changes_nothing(tmp_path: Path) -> None:
    clicks = [click(50, 50), click(10, 10, positive=False, name="p2"), click(70, 60, name="p3")]
    first = serve_photos(tmp_path)
    for count in range(1, 4):
        remembered = masks(first.predict(clicks[:count]))

    replayed = masks(serve_photos(tmp_path).predict(clicks))

    np.testing.assert_array_equal(remembered[0], replayed[0])

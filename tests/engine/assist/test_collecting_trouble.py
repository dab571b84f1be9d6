"""What is of no use, gone, or cut short: a row or a count says so; nothing is lost or doubled."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from engine.assist.progress import harvest
from engine.label_studio.errors import ServerUnavailableError
from model.errors import ConfigurationError
from tests.engine.assist.runs import SIZE_HW, AssistedRun, make_region, open_run_of
from tests.factories import rectangle

LEFT = rectangle((0, 0, 20, 48), SIZE_HW)
RIGHT = rectangle((30, 5, 20, 30), SIZE_HW)


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (make_region(label="dog"), "foreign_label"),
        (make_region() | {"value": {"rle": [1, 2], "brushlabels": ["Object"]}}, "broken_rle"),
        (make_region() | {"value": {"rle": None, "brushlabels": ["Object"]}}, "broken_rle"),
        (make_region(np.ones((10, 10), bool)), "wrong_size"),
        (make_region(image_rotation=90), "wrong_size"),
        (make_region(np.zeros(SIZE_HW, bool)), "empty"),
        ({"id": "p", "type": "polygonlabels", "value": {"points": []}}, "foreign_region"),
        ({"id": "p", "type": "brushlabels"}, "foreign_region"),
    ],
)
def test_a_region_of_no_use_is_dropped_by_name_and_the_rest_is_kept(tmp_path, region, reason):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    run.server.annotate(run.server.task_of("000.png"), [region, make_region(RIGHT)])
    run.collect()
    row = run.rows()["000.png"]
    assert (len(row.masks), dict(row.dropped)) == (1, {reason: 1})
    assert harvest(run.settings, open_run_of(run)).problems == [f"000.png: 1 dropped ({reason})"]


def test_useless_tasks_become_rows_that_say_so_and_the_rest_goes_on(tmp_path):
    run = AssistedRun(tmp_path, photos=5)
    run.send()
    server = run.server
    for path in ("000.png", "001.png", "002.png", "004.png"):
        run.annotate(path, [LEFT])
    server.all_tasks[server.task_of("000.png")]["data"]["image_id"] = "f" * 32
    server.all_tasks[server.task_of("001.png")]["data"]["image"] = "/data/other.png"
    (run.photos / "002.png").unlink()
    del server.all_tasks[server.task_of("003.png")]
    run.collect()
    rows = run.rows()
    kinds = {path: row.error and row.error.type for path, row in rows.items()}
    unknown = next(path for path in kinds if path.startswith("label-studio/task-"))
    assert kinds == {
        unknown: "unknown_id",
        "000.png": "task_deleted",  # under its own id it is no more
        "001.png": "task_edited",
        "002.png": "vanished",
        "003.png": "task_deleted",
        "004.png": None,
    }


def test_a_task_deleted_after_it_was_collected_keeps_its_masks(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("000.png", [LEFT])
    run.collect()
    del run.server.all_tasks[run.server.task_of("000.png")]
    found = run.collect()
    assert found.gone == ["000.png"]
    assert len(run.rows()["000.png"].masks) == 1


def test_a_photo_without_a_task_and_without_masks_is_not_said_to_have_been_collected(tmp_path):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    del run.server.all_tasks[run.server.task_of("000.png")]
    assert run.collect().fresh == 1
    found = run.collect()
    assert (found.fresh, found.changed, found.gone) == (0, 0, [])
    assert run.rows()["000.png"].error.type == "task_deleted"


def test_a_task_that_a_list_in_pages_lost_is_not_taken_for_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.label_studio.client.TASKS_A_PAGE", 2)
    run = AssistedRun(tmp_path, photos=5)
    run.send()
    run.annotate("002.png", [LEFT])

    def somebody_deletes_the_first(request):
        if request.url.params.get("page") == "2":
            run.server.all_tasks.pop(run.server.task_of("000.png"), None)
            run.server.before = lambda request: None

    run.server.before = somebody_deletes_the_first
    found = run.collect()
    assert found.finished == 1
    assert {path: len(row.masks) for path, row in run.rows().items()} == {"002.png": 1}
    run.collect()
    kinds = {path: row.error and row.error.type for path, row in run.rows().items()}
    assert kinds == {"000.png": "task_deleted", "002.png": None}


def test_a_server_that_dies_in_the_middle_loses_and_doubles_nothing(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    for path in ("000.png", "001.png", "002.png"):
        run.annotate(path, [LEFT, RIGHT])
    asked = []

    def die_at_the_second_task(request):
        if request.url.path.startswith("/api/tasks/"):
            asked.append(request)
            if len(asked) > 1:
                raise httpx.ConnectError("refused")

    run.server.before = die_at_the_second_task
    with pytest.raises(ServerUnavailableError):
        run.collect()
    run.server.before = lambda request: None
    found = run.collect()
    assert (found.finished, found.fresh) == (3, 2)
    assert {path: len(row.masks) for path, row in run.rows().items()} == {
        "000.png": 2,
        "001.png": 2,
        "002.png": 2,
    }


def test_answers_that_were_kept_are_made_shards_after_a_kill(tmp_path, monkeypatch):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("000.png", [LEFT])
    with monkeypatch.context() as patched:
        patched.setattr("engine.assist.collecting.make_answered_shards", _killed)
        with pytest.raises(KeyboardInterrupt):
            run.collect()
    del run.server.all_tasks[run.server.task_of("000.png")]  # nothing is asked for twice
    run.collect()
    assert len(run.rows()["000.png"].masks) == 1


def _killed(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_collecting_before_sending_says_what_comes_first(tmp_path):
    run = AssistedRun(tmp_path)
    with pytest.raises(ConfigurationError, match="`mask-engine assist send` comes first"):
        run.collect()

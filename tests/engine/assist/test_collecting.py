from __future__ import annotations

import httpx
import numpy as np
import pytest

from engine.assist.progress import Harvest, harvest, server_progress
from engine.assist.settings import BackendSettings
from engine.clicks.log import ClickEntry, ClickLog
from engine.commands.people import collected_lines
from engine.label_studio.errors import ServerUnavailableError
from model.errors import ConfigurationError
from stages import rle
from stages.records import PromptRecord
from tests.engine.assist.runs import SIZE_HW, AssistedRun, make_exhaustive, make_region, open_run_of
from tests.factories import rectangle
from tests.pipelines.runs import shard_digests

LEFT = rectangle((0, 0, 20, 48), SIZE_HW)
RIGHT = rectangle((30, 5, 20, 30), SIZE_HW)


def test_masks_come_back_bit_exact_with_who_and_how_long(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    rough = np.random.default_rng(0).random(SIZE_HW) > 0.5
    run.annotate("001.png", [LEFT, rough], by="ann@example.com", seconds=24.0)
    found = run.collect()
    assert (found.finished, found.fresh, found.changed) == (1, 1, 0)
    (row,) = run.rows().values()
    assert [
        (rle.decode(m.segmentation) == want).all()
        for m, want in zip(row.masks, [LEFT, rough], strict=True)
    ] == [True, True]
    assert (row.ref.path, row.stage, row.revision) == ("001.png", "assisted_manual", 0)
    assert {m.origin for m in row.masks} == {"human"}
    assert {(m.annotator, m.seconds, m.seconds_from) for m in row.masks} == {
        ("ann@example.com", 12.0, "task")
    }


def test_collecting_twice_changes_no_byte(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("001.png", [LEFT])
    run.collect()
    before = shard_digests(run.out)
    found = run.collect()
    assert (found.finished, found.fresh, found.changed) == (1, 0, 0)
    assert shard_digests(run.out) == before


def test_what_is_finished_later_is_added_behind(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("001.png", [LEFT])
    run.collect()
    before = shard_digests(run.out)
    run.annotate("002.png", [RIGHT])
    assert run.collect().fresh == 1
    assert before.items() < shard_digests(run.out).items()
    assert sorted(run.rows()) == ["001.png", "002.png"]


def test_a_change_becomes_a_new_record_with_its_parent_and_the_rest_stays(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    kept, corrected = make_region(LEFT), make_region(RIGHT)
    task = run.server.task_of("000.png")
    run.server.annotate(task, [kept, corrected])
    run.collect()
    first = run.rows()["000.png"]
    better = rectangle((30, 5, 20, 31), SIZE_HW)
    run.server.change(task, [kept, make_region(better, id=corrected["id"])])
    assert run.collect().changed == 1
    second = run.rows()["000.png"]
    assert second.revision == 1
    assert second.masks[0].mask_id == first.masks[0].mask_id
    assert second.masks[1].derived_from == first.masks[1].mask_id
    assert second.masks[1].edited_px == 20
    run.server.change(
        task, [make_region(RIGHT, id=kept["id"]), make_region(better, id=corrected["id"])]
    )
    run.collect()
    third = run.rows()["000.png"]
    assert third.masks[0].derived_from == first.masks[0].mask_id
    assert third.masks[1].mask_id == second.masks[1].mask_id


def test_skipped_and_empty_photos_are_told_apart_and_a_complete_one_is_marked(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("000.png", skipped=True)
    run.annotate("001.png")
    run.server.annotate(run.server.task_of("002.png"), [make_exhaustive()])
    run.collect()
    rows = run.rows()
    assert rows["000.png"].error is not None
    assert (rows["000.png"].error.type, rows["000.png"].width) == ("skipped", 64)
    assert "ann@example.com" in rows["000.png"].error.message
    assert (rows["001.png"].error, rows["001.png"].masks) == (None, ())
    assert (rows["001.png"].exhaustive, rows["002.png"].exhaustive) == (None, True)


def test_what_clicks_meant_is_no_region_of_its_own(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    mask = make_region(LEFT)
    said = mask | {"type": "labels", "from_name": "meant", "value": {"labels": ["Object (part)"]}}
    run.server.annotate(run.server.task_of("000.png"), [mask, said])
    run.collect()
    (row,) = run.rows().values()
    assert (len(row.masks), dict(row.dropped)) == (1, {})


def test_names_are_kept_and_the_plain_label_is_none(tmp_path):
    run = AssistedRun(tmp_path, names=("cup",))
    run.send()
    regions = [make_region(LEFT), make_region(RIGHT, label="cup")]
    run.server.annotate(run.server.task_of("000.png"), regions)
    run.collect()
    assert [m.category for m in run.rows()["000.png"].masks] == [None, "cup"]


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


def two_clicks(log: ClickLog, project: int, task: int, region: str) -> None:
    """What the backend logs of a region that took two clicks, answered at 14 s."""
    for number, (at, answered) in enumerate([(10.0, "first-answer"), (14.0, region)], 1):
        log.append(
            ClickEntry(
                at=at,
                project=str(project),
                task=str(task),
                image_id=None,
                prompt=PromptRecord(((5.0, 6.0), (7.0, 8.0))[:number], (1, 0)[:number]),
                region_id=answered,
                model_id="feed" * 4,
                milliseconds=500.0,
                prompt_ids=("a", "b")[:number],
                predicted_iou=0.875,
            )
        )


def test_clicks_and_seconds_come_from_the_log_of_prompts(tmp_path):
    log = ClickLog(tmp_path / "clicks")
    backend = BackendSettings(url="http://127.0.0.1:9090", click_log=str(log.folder))
    run = AssistedRun(tmp_path, backend=backend)
    _send_without_backend(run)
    task, project = run.server.task_of("000.png"), next(iter(run.server.projects))
    clicked, drawn = make_region(LEFT), make_region(RIGHT)
    two_clicks(log, project, task, clicked["id"])
    run.server.annotate(task, [clicked, drawn], seconds=20.0)
    run.collect()
    by_click, by_hand = run.rows()["000.png"].masks
    assert (by_click.seconds, by_click.seconds_from, by_click.clicks) == (4.5, "clicks", 2)
    assert (by_click.model_id, by_click.predicted_iou) == ("feed" * 4, 0.875)
    assert by_click.point_coords == ((5.0, 6.0),)
    assert by_click.prompt == PromptRecord(((5.0, 6.0), (7.0, 8.0)), (1, 0))
    assert (by_hand.seconds, by_hand.seconds_from, by_hand.clicks) == (15.5, "task", None)
    assert by_hand.model_id is None


def test_a_log_of_prompts_that_is_not_there_or_empty_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    backend = BackendSettings(url="http://127.0.0.1:9090", click_log="~/clicks")
    run = AssistedRun(tmp_path, backend=backend)
    _send_without_backend(run)
    run.annotate("000.png", [LEFT])
    found = run.collect()
    assert f"{tmp_path}/clicks: no log of prompts" in found.warning
    assert "Set backend.click_log to the folder" in found.warning
    assert f"warning: {found.warning}" in collected_lines(found, Harvest())
    (tmp_path / "clicks").mkdir()
    run.annotate("001.png", [LEFT])
    assert "no clicks of 2 collected tasks" in run.collect().warning
    run.settings = run.settings.model_copy(
        update={"backend": BackendSettings(url="http://127.0.0.1:9090")}
    )
    assert "backend.click_log is not set" in run.collect().warning


def test_masks_collected_without_the_log_of_prompts_get_their_clicks_when_it_is_there(tmp_path):
    log = ClickLog(tmp_path / "clicks")
    backend = BackendSettings(url="http://127.0.0.1:9090", click_log=str(log.folder))
    run = AssistedRun(tmp_path, backend=backend)
    _send_without_backend(run)
    task, project = run.server.task_of("000.png"), next(iter(run.server.projects))
    clicked = make_region(LEFT)
    run.server.annotate(task, [clicked], seconds=20.0)
    run.collect()
    asked = len(run.server.requests)
    again = run.collect()
    assert (again.fresh, again.changed) == (0, 0)
    assert f"GET /api/tasks/{task}" not in run.server.requests[asked:]
    assert run.rows()["000.png"].masks[0].clicks is None
    two_clicks(log, project, task, clicked["id"])
    assert (run.collect().changed, run.collect().changed) == (1, 0)
    row = run.rows()["000.png"]
    assert (row.revision, row.masks[0].clicks, row.masks[0].seconds_from) == (1, 2, "clicks")


def _send_without_backend(run: AssistedRun) -> None:
    whole, run.settings = run.settings, run.settings.model_copy(update={"backend": None})
    run.send()
    run.settings = whole


@pytest.mark.parametrize(
    ("winner", "expected"), [("first", LEFT), ("latest", RIGHT), ("agreement", RIGHT)]
)
def test_of_several_annotators_the_rule_says_whose_masks_count(tmp_path, winner, expected):
    run = AssistedRun(tmp_path, photos=1, annotators=3, winner=winner)
    run.send()
    run.annotate("000.png", [LEFT], by="a@example.com")
    run.annotate("000.png", [RIGHT], by="b@example.com")
    assert run.collect().fresh == 0  # a third one is missing
    run.annotate("000.png", [RIGHT], by="c@example.com")
    run.collect()
    row = run.rows()["000.png"]
    (mask,) = row.masks
    assert (rle.decode(mask.segmentation) == expected).all()
    assert dict(row.dropped) == {"other_annotator": 2}


def test_agreement_is_the_mean_best_iou_between_people(tmp_path):
    run = AssistedRun(tmp_path, photos=1, annotators=2)
    run.send()
    run.annotate("000.png", [LEFT, RIGHT], by="a@example.com")
    run.annotate("000.png", [LEFT], by="b@example.com")
    run.collect()
    assert harvest(run.settings, open_run_of(run)).agreement == pytest.approx(2 / 3)


def test_masks_over_thirty_seconds_are_counted(tmp_path):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    run.annotate("000.png", [LEFT, RIGHT], seconds=62.0)
    run.annotate("001.png", [LEFT], seconds=30.0)
    run.collect()
    counted = harvest(run.settings, open_run_of(run))
    assert (counted.slow, counted.masks, counted.seconds) == (2, 3, 92.0)


def test_status_counts_what_people_did(tmp_path):
    run = AssistedRun(tmp_path, annotators=2)
    run.send()
    run.annotate("000.png", [LEFT])
    run.annotate("001.png", [LEFT])
    run.annotate("001.png", skipped=True)
    run.collect()
    now = server_progress(run.settings, run.connection())
    assert (now.sent, now.there, now.begun, now.finished, now.skipped) == (4, 4, 2, 1, 1)
    assert now.collected == 1


def test_collecting_before_sending_says_what_comes_first(tmp_path):
    run = AssistedRun(tmp_path)
    with pytest.raises(ConfigurationError, match="`mask-engine assist send` comes first"):
        run.collect()

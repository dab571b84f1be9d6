"""Clicks and seconds of masks, from the log of prompts that the click backend writes."""

from __future__ import annotations

from pathlib import Path

from engine.assist.progress import Harvest
from engine.assist.settings import BackendSettings
from engine.clicks.log import ClickEntry, ClickLog
from engine.commands.people import collected_lines
from stages.records import PromptRecord
from tests.engine.assist.runs import SIZE_HW, AssistedRun, make_region
from tests.factories import rectangle

LEFT = rectangle((0, 0, 20, 48), SIZE_HW)
RIGHT = rectangle((30, 5, 20, 30), SIZE_HW)


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
    run, log = _sent_with_log(tmp_path)
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
    run, log = _sent_with_log(tmp_path)
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


def _sent_with_log(folder: Path) -> tuple[AssistedRun, ClickLog]:
    log = ClickLog(folder / "clicks")
    backend = BackendSettings(url="http://127.0.0.1:9090", click_log=str(log.folder))
    run = AssistedRun(folder, backend=backend)
    _send_without_backend(run)
    return run, log


def _send_without_backend(run: AssistedRun) -> None:
    whole, run.settings = run.settings, run.settings.model_copy(update={"backend": None})
    run.send()
    run.settings = whole

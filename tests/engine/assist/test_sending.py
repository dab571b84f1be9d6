"""Each photo becomes one task, whatever dies between, however often it is sent."""

from __future__ import annotations

import httpx
import pytest

from engine.assist import importing
from engine.assist.connection import Connection
from engine.assist.progress import server_progress
from engine.assist.sending import send
from engine.label_studio.errors import ServerRefusedError, ServerUnavailableError
from model.errors import ConfigurationError
from pipelines.answers import read_sent
from pipelines.storage import Folder
from tests.engine.assist.runs import AssistedRun


def imports(request: httpx.Request) -> bool:
    return request.url.path.endswith("/import")


def test_each_photo_becomes_one_task_with_its_id_and_an_address_the_server_can_show(tmp_path):
    run = AssistedRun(tmp_path)
    sent = run.send()
    assert (sent.added, sent.there, sent.removed) == (4, 0, 0)
    data = [task["data"] for task in run.server.all_tasks.values()]
    assert [d["path"] for d in data] == ["000.png", "001.png", "002.png", "003.png"]
    assert data[0]["image"] == "/data/local-files/?d=photos/000.png"
    shown = run.home.photos / "photos" / "000.png"
    assert shown.read_bytes() == (run.photos / "000.png").read_bytes()
    photos = read_sent(Folder(str(run.out)))
    assert {d["image_id"] for d in data} == set(photos)
    assert all(photo.confirmed for photo in photos.values())


def test_sending_twice_adds_nothing(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    sent = run.send()
    assert (sent.added, sent.there, sent.removed) == (0, 4, 0)
    assert (len(run.server.all_tasks), len(run.server.projects)) == (4, 1)


def test_new_photos_are_added_to_the_same_project(tmp_path):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    (run.photos / "new.png").write_bytes((run.photos / "000.png").read_bytes())
    sent = run.send()
    assert (sent.added, sent.there, len(run.server.projects)) == (1, 2, 1)


def test_an_import_whose_answer_is_lost_doubles_nothing(tmp_path):
    run = AssistedRun(tmp_path)
    lost = []

    def lose_the_first_answer(request):
        if imports(request) and not lost:
            lost.append(request)
            raise httpx.ReadTimeout("too slow")

    run.server.after = lose_the_first_answer
    assert run.send().added == 4
    assert len(run.server.all_tasks) == 4


def test_a_server_that_dies_in_the_middle_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "TASKS_AN_IMPORT", 3)
    run = AssistedRun(tmp_path)

    def refuse_the_second(request):
        if imports(request) and run.server.all_tasks:
            raise httpx.ConnectError("refused")

    run.server.before = refuse_the_second
    with pytest.raises(ServerUnavailableError, match="cannot be reached"):
        run.send()
    now = server_progress(run.settings, run.connection())
    assert (now.chosen, now.sent, now.there, now.waiting) == (4, 3, 3, 3)
    run.server.before = lambda request: None
    assert run.send().added == 1
    assert (len(run.server.all_tasks), len(run.server.projects)) == (4, 1)


def test_what_was_sent_is_what_the_server_took_whatever_becomes_of_it_there(tmp_path):
    run = AssistedRun(tmp_path)

    def refuse(request):
        return httpx.Response(400, json={"detail": "no"}) if imports(request) else None

    run.server.before = refuse
    with pytest.raises(ServerRefusedError, match="no"):
        run.send()
    now = server_progress(run.settings, run.connection())
    assert (now.chosen, now.sent, now.there) == (4, 0, 0)
    run.server.before = lambda request: None
    run.send()
    del run.server.all_tasks[run.server.task_of("000.png")]
    now = server_progress(run.settings, run.connection())
    assert (now.chosen, now.sent, now.there) == (4, 4, 3)


def test_a_project_whose_making_was_never_answered_is_found_again(tmp_path):
    run = AssistedRun(tmp_path)

    def lose(request):
        if request.method == "POST" and request.url.path == "/api/projects":
            raise httpx.ReadTimeout("too slow")

    run.server.after = lose
    with pytest.raises(ServerUnavailableError):
        run.send()
    run.server.after = lambda request: None
    run.send()
    assert len(run.server.projects) == 1


def test_tasks_that_stand_there_twice_are_cleared_and_work_is_kept(tmp_path):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    client = run.server.client()
    project = next(iter(run.server.projects))
    doubles = [{"data": dict(task["data"])} for task in run.server.all_tasks.values()]
    client.import_tasks(project, doubles)
    worked_on = max(run.server.all_tasks)
    run.server.annotate(worked_on, [])
    assert run.send().removed == 2
    assert worked_on in run.server.all_tasks
    assert len({t["data"]["image_id"] for t in run.server.all_tasks.values()}) == 2


def test_of_doubles_the_one_that_somebody_is_at_work_on_stays(tmp_path):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    project = next(iter(run.server.projects))
    doubles = [{"data": dict(task["data"])} for task in run.server.all_tasks.values()]
    run.server.client().import_tasks(project, doubles)
    begun, submitted = sorted(run.server.all_tasks)[2:]
    run.server.drafts[begun] = [{"id": 1, "result": [], "user": "ann@example.com"}]

    def submit_after_the_last_list(request):
        if request.url.path == f"/api/tasks/{submitted}" and request.method == "GET":
            run.server.before = lambda request: None
            run.server.annotate(submitted, [])

    run.server.before = submit_after_the_last_list
    assert run.send().removed == 2
    assert sorted(run.server.all_tasks) == [begun, submitted]
    tasks = {photo.task for photo in read_sent(Folder(str(run.out))).values()}
    assert tasks == {begun, submitted}


def test_photos_that_the_server_took_and_has_no_task_for_are_not_said_to_be_sent(tmp_path):
    run = AssistedRun(tmp_path)

    def take_and_forget(request):
        return httpx.Response(201, json={"task_count": 4}) if imports(request) else None

    run.server.before = take_and_forget
    with pytest.raises(ServerUnavailableError, match="took 4 photos, but 4 have no task"):
        run.send()
    photos = read_sent(Folder(str(run.out)))
    assert [photo.confirmed for photo in photos.values()] == [False] * 4


def test_no_photo_chosen_is_not_every_photo(tmp_path):
    run = AssistedRun(tmp_path)
    with pytest.raises(ConfigurationError, match=r"none of the photos of .* was chosen"):
        send(run.settings, run.connection(), photos=())
    assert run.server.requests == []


def test_changed_settings_reach_the_project(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.settings = run.settings.model_copy(update={"names": ("cup",), "instructions": "Be quick."})
    run.send()
    (project,) = run.server.projects.values()
    assert 'value="cup"' in project["label_config"]
    assert project["expert_instruction"] == "Be quick."


def test_the_instructions_hold_the_papers_protocol(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    (project,) = run.server.projects.values()
    for words in ("most prominent first", "No class names are needed", "30 seconds"):
        assert words in project["expert_instruction"]


def test_a_run_of_another_server_is_refused(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    (run.out / "label-studio.json").write_text('{"url": "http://other.test", "project": 1}')
    with pytest.raises(ConfigurationError, match=r"its project is on http://other\.test"):
        run.send()


def test_a_wrong_token_is_refused_with_what_to_do(tmp_path):
    run = AssistedRun(tmp_path)
    studio = run.server.client("f" * 40)
    run.connection = lambda: Connection(studio, run.home)
    with pytest.raises(ServerRefusedError, match="LABEL_STUDIO_API_KEY"):
        run.send()

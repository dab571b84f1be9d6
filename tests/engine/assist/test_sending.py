from __future__ import annotations

import httpx
import pytest

from engine.assist.connection import Connection
from engine.assist.sending import send
from engine.assist.settings import BackendSettings, ServerSettings
from engine.backend.credentials import Credentials
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


def in_folders(run: AssistedRun, *years: str) -> None:
    """Its one photo into each of these folders below it."""
    photo = run.photos / "000.png"
    for year in years:
        (run.photos / year).mkdir()
        (run.photos / year / "photo.png").write_bytes(photo.read_bytes())
    photo.unlink(missing_ok=True)


def test_photos_of_another_folder_can_be_sent_later(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    in_folders(run, "2024")
    assert run.send().added == 1
    (first,) = run.server.all_tasks.values()
    assert first["data"]["image"] == "/data/local-files/?d=photos/2024/photo.png"
    (run.photos / "000.png").write_bytes((run.photos / "2024" / "photo.png").read_bytes())
    in_folders(run, "2025")
    assert run.send().added == 1


def test_a_deeper_folder_that_is_shared_already_stays_so(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    in_folders(run, "2024")
    run.home.share(str(run.photos / "2024"), "photos")
    run.send()
    (first,) = run.server.all_tasks.values()
    assert first["data"]["image"] == "/data/local-files/?d=photos/photo.png"


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


def test_a_server_that_dies_in_the_middle_is_gone_on_with(tmp_path):
    run = AssistedRun(tmp_path)

    def refuse(request):
        if imports(request):
            raise httpx.ConnectError("refused")

    run.server.before = refuse
    with pytest.raises(ServerUnavailableError, match="cannot be reached"):
        run.send()
    run.server.before = lambda request: None
    assert run.send().added == 4
    assert (len(run.server.all_tasks), len(run.server.projects)) == (4, 1)


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


def test_the_backend_is_tied_once_with_its_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("MASK_ENGINE_BACKEND_USER", "engine")
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "secret")
    run = AssistedRun(tmp_path, backend=BackendSettings(url="http://127.0.0.1:9090/"))
    run.send()
    run.send()
    (backend,) = run.server.backends
    assert (backend["url"], backend["is_interactive"]) == ("http://127.0.0.1:9090", True)
    assert (backend["basic_auth_user"], backend["basic_auth_pass"]) == ("engine", "secret")
    (hook,) = run.server.webhooks.values()
    assert hook["url"] == "http://127.0.0.1:9090/webhook"
    assert not hook["send_payload"]
    bell = Credentials("engine", "secret").of_the_bell
    assert hook["headers"] == {"Authorization": bell.header}
    assert "secret" not in bell.password


def test_photos_in_a_bucket_are_shown_by_presigned_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    photos = tmp_path / "list.txt"
    photos.write_text("s3://bucket/a.jpg\ns3://bucket/b.jpg\n")
    run = AssistedRun(tmp_path, source=str(photos), server=ServerSettings(photos="s3"))
    run.send()
    (storage,) = run.server.storages
    assert (storage["bucket"], storage["presign"]) == ("bucket", True)
    assert run.server.all_tasks[min(run.server.all_tasks)]["data"]["image"] == "s3://bucket/a.jpg"


def test_a_bucket_without_a_key_is_refused_before_anything_is_sent(tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    photos = tmp_path / "list.txt"
    photos.write_text("s3://bucket/a.jpg\n")
    run = AssistedRun(tmp_path, source=str(photos), server=ServerSettings(photos="s3"))
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        run.send()
    assert run.server.requests == []


def test_another_server_must_be_told_where_it_sees_the_photos(tmp_path):
    run = AssistedRun(tmp_path, server=ServerSettings(url="http://studio.test"))
    run.connection = lambda: Connection(run.server.client(), None)
    with pytest.raises(ConfigurationError, match=r"server\.document_root"):
        run.send()


def test_photos_with_nothing_but_the_root_in_common_are_not_shared(tmp_path):
    photos = tmp_path / "list.txt"
    photos.write_text("/a/one.jpg\n/b/two.jpg\n")
    run = AssistedRun(tmp_path, source=str(photos))
    with pytest.raises(ConfigurationError, match="could read all of it"):
        run.send()


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


def test_a_backend_that_has_moved_takes_the_place_of_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setenv("MASK_ENGINE_BACKEND_USER", "engine")
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "secret")
    run = AssistedRun(tmp_path, backend=BackendSettings(url="http://127.0.0.1:9090"))
    run.send()
    run.server.backends.append({"id": 999, "title": "somebody's own", "url": "http://elsewhere"})
    moved = BackendSettings(url="http://127.0.0.1:9191")
    run.settings = run.settings.model_copy(update={"backend": moved})
    run.send()
    urls = [backend["url"] for backend in run.server.backends]
    assert urls == ["http://elsewhere", "http://127.0.0.1:9191"]


def test_a_backend_that_is_not_up_is_named_with_its_cure_and_nothing_is_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("MASK_ENGINE_BACKEND_USER", "engine")
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "secret")
    run = AssistedRun(tmp_path, backend=BackendSettings(url="http://127.0.0.1:9090"))

    run.server.before = without_backend
    with pytest.raises(
        ConfigurationError,
        match=r"(?s)9090, and no photo was sent.*`mask-engine "
        r"serve .*photos`\).*Can't connect",
    ):
        run.send()
    assert not run.server.all_tasks


def tied_run(tmp_path, monkeypatch) -> AssistedRun:
    monkeypatch.setenv("MASK_ENGINE_BACKEND_USER", "engine")
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "secret")
    return AssistedRun(tmp_path, backend=BackendSettings(url="http://127.0.0.1:9090"))


def test_a_new_password_of_the_backend_reaches_server_and_webhook(tmp_path, monkeypatch):
    run = tied_run(tmp_path, monkeypatch)
    run.send()
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "changed")
    run.send()
    (backend,), (hook,) = run.server.backends, run.server.webhooks.values()
    assert backend["basic_auth_pass"] == "changed"
    assert hook["headers"]["Authorization"] == Credentials("engine", "changed").of_the_bell.header


def without_backend(request):
    """What the server says to whoever ties a backend that is not up."""
    if request.method in {"POST", "PATCH"} and request.url.path.startswith("/api/ml"):
        return httpx.Response(400, json={"non_field_errors": ["Can't connect to ML backend"]})
    return None


def test_photos_are_sent_while_a_backend_that_is_tied_already_is_down(
    tmp_path, monkeypatch, caplog
):
    run = tied_run(tmp_path, monkeypatch)
    run.send()
    (run.photos / "new.png").write_bytes((run.photos / "000.png").read_bytes())
    run.server.before = without_backend
    assert run.send().added == 1
    assert "tied to it, so photos are sent, but nothing answers a click yet" in caplog.text
    assert "mask-engine serve" in caplog.text


def test_a_backend_that_is_down_does_not_get_a_new_password(tmp_path, monkeypatch):
    run = tied_run(tmp_path, monkeypatch)
    run.send()
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "changed")
    run.server.before = without_backend
    with pytest.raises(ConfigurationError, match=r"no photo was sent.*Then send again"):
        run.send()


def test_a_send_that_ended_before_the_webhook_was_hung_is_made_good(tmp_path, monkeypatch):
    run = tied_run(tmp_path, monkeypatch)

    def die(request):
        if "webhooks" in request.url.path:
            raise httpx.ConnectError("killed")

    run.server.before = die
    with pytest.raises(ServerUnavailableError):
        run.send()
    run.server.before = lambda request: None
    run.send()
    (hook,) = run.server.webhooks.values()
    assert hook["headers"] == {"Authorization": Credentials("engine", "secret").of_the_bell.header}
    assert len(run.server.backends) == 1


def test_the_webhook_of_a_backend_that_has_moved_goes_and_others_stay(tmp_path, monkeypatch):
    run = tied_run(tmp_path, monkeypatch)
    run.send()
    theirs = {"id": 998, "url": "http://elsewhere/webhook", "headers": {"Authorization": "Basic x"}}
    bell = Credentials("engine", "old").of_the_bell.header
    left = {"id": 999, "url": "http://old/webhook", "headers": {"Authorization": bell}}
    run.server.webhooks |= {998: theirs, 999: left}
    moved = BackendSettings(url="http://127.0.0.1:9191")
    run.settings = run.settings.model_copy(update={"backend": moved})
    run.send()
    hooks = sorted(hook["url"] for hook in run.server.webhooks.values())
    assert hooks == ["http://127.0.0.1:9191/webhook", "http://elsewhere/webhook"]


def test_new_keys_of_a_bucket_reach_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "for an hour")
    photos = tmp_path / "list.txt"
    photos.write_text("s3://bucket/a.jpg\n")
    run = AssistedRun(tmp_path, source=str(photos), server=ServerSettings(photos="s3"))
    run.send()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "rotated")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    run.send()
    (storage,) = run.server.storages
    assert (storage["aws_secret_access_key"], storage["aws_session_token"]) == ("rotated", None)

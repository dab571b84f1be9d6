"""The click backend's tie to a project: made once, mended by every send, no more than is needed."""

from __future__ import annotations

import httpx
import pytest

from engine.assist.settings import BackendSettings
from engine.backend.credentials import Credentials
from engine.label_studio.errors import ServerUnavailableError
from model.errors import ConfigurationError
from tests.engine.assist.runs import AssistedRun


@pytest.fixture
def run(tmp_path, monkeypatch) -> AssistedRun:
    """One with a click backend, and the password that both sides of the tie know."""
    monkeypatch.setenv("MASK_ENGINE_BACKEND_USER", "engine")
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "secret")
    return AssistedRun(tmp_path, backend=BackendSettings(url="http://127.0.0.1:9090/"))


def without_backend(request):
    """What the server says to whoever ties a backend that is not up."""
    if request.method in {"POST", "PATCH"} and request.url.path.startswith("/api/ml"):
        return httpx.Response(400, json={"non_field_errors": ["Can't connect to ML backend"]})
    return None


def test_the_backend_is_tied_once_with_its_credentials(run):
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


def test_a_backend_that_has_moved_takes_the_place_of_the_one_before(run):
    run.send()
    run.server.backends.append({"id": 999, "title": "somebody's own", "url": "http://elsewhere"})
    moved = BackendSettings(url="http://127.0.0.1:9191")
    run.settings = run.settings.model_copy(update={"backend": moved})
    run.send()
    urls = [backend["url"] for backend in run.server.backends]
    assert urls == ["http://elsewhere", "http://127.0.0.1:9191"]


def test_a_backend_that_is_not_up_is_named_with_its_cure_and_nothing_is_sent(run):
    run.server.before = without_backend
    with pytest.raises(
        ConfigurationError,
        match=r"(?s)9090, and no photo was sent.*`mask-engine "
        r"serve .*photos`\).*Can't connect",
    ):
        run.send()
    assert not run.server.all_tasks


def test_a_new_password_of_the_backend_reaches_server_and_webhook(run, monkeypatch):
    run.send()
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "changed")
    run.send()
    (backend,), (hook,) = run.server.backends, run.server.webhooks.values()
    assert backend["basic_auth_pass"] == "changed"
    assert hook["headers"]["Authorization"] == Credentials("engine", "changed").of_the_bell.header


def test_photos_are_sent_while_a_backend_that_is_tied_already_is_down(run, caplog):
    run.send()
    (run.photos / "new.png").write_bytes((run.photos / "000.png").read_bytes())
    run.server.before = without_backend
    assert run.send().added == 1
    assert "tied to it, so photos are sent, but nothing answers a click yet" in caplog.text
    assert "mask-engine serve" in caplog.text


def test_a_backend_that_is_down_does_not_get_a_new_password(run, monkeypatch):
    run.send()
    monkeypatch.setenv("MASK_ENGINE_BACKEND_PASSWORD", "changed")
    run.server.before = without_backend
    with pytest.raises(ConfigurationError, match=r"no photo was sent.*Then send again"):
        run.send()


def test_a_send_that_ended_before_the_webhook_was_hung_is_made_good(run):
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


def test_the_webhook_of_a_backend_that_has_moved_goes_and_others_stay(run):
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

"""Every link of the chain broken in turn: which one is named, and what is to be done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.assist.connection import Connection
from engine.assist.settings import BackendSettings, ServerSettings
from engine.label_studio.check import walk
from engine.label_studio.links import Link
from tests.engine.assist.runs import AssistedRun
from tests.engine.backend.served import served_backend
from tests.engine.fake_label_studio import URL
from tests.pipelines.runs import make_photos

LINKS = [
    "server",
    "token",
    "project",
    "photo through the server",
    "click backend",
    "its credentials",
    "its set-up in the project",
    "one click",
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with photos, and the address of the click backend that serves them."""
    folder = tmp_path_factory.mktemp("served")
    make_photos(folder / "photos", 4)
    with served_backend(folder) as address:
        yield folder, address


@pytest.fixture
def run(served: tuple[Path, str], tmp_path: Path) -> AssistedRun:
    """A run whose photos were sent."""
    folder, address = served
    backend = BackendSettings(url=address, credentials=str(folder / "backend.json"))
    run = AssistedRun(folder, out=str(tmp_path / "run"), backend=backend)
    run.send()
    return run


def tried(run: AssistedRun, token: str | None = None) -> list[Link]:
    studio = run.server.client() if token is None else run.server.client(token)
    return list(walk(run.settings, connection=Connection(studio, run.home)))


def test_every_link_holds(run: AssistedRun) -> None:
    links = tried(run)

    assert [link.name for link in links] == LINKS
    assert all(link.ok for link in links), links
    assert "px" in links[-1].says


def no_answer(request: httpx.Request) -> httpx.Response | None:
    raise httpx.ConnectError("refused")


def server_down(run: AssistedRun) -> None:
    run.server.before = no_answer


def no_label_studio(run: AssistedRun) -> None:
    run.server.before = lambda request: httpx.Response(200, json=["something else"])


def project_gone(run: AssistedRun) -> None:
    run.server.projects.clear()


def nothing_sent(run: AssistedRun) -> None:
    change(run, out=f"{run.settings.out}-other")


def tasks_gone(run: AssistedRun) -> None:
    run.server.all_tasks.clear()


def photo_gone(run: AssistedRun) -> None:
    run.server.files = None


def address_changed(run: AssistedRun) -> None:
    for task in run.server.all_tasks.values():
        task["data"]["image"] = "http://["


def backend_down(run: AssistedRun) -> None:
    change(run, backend=BackendSettings(url="http://127.0.0.1:9"))


def no_address(run: AssistedRun) -> None:
    change(run, backend=BackendSettings(url="127.0.0.1"))


def wrong_password(run: AssistedRun) -> None:
    file = Path(f"{run.settings.out}-other.json")
    file.write_text(json.dumps({"user": "u", "password": "wrong"}))
    file.chmod(0o600)
    assert run.settings.backend is not None
    change(run, backend=run.settings.backend.model_copy(update={"credentials": str(file)}))


def not_tied(run: AssistedRun) -> None:
    run.server.backends.clear()


def not_interactive(run: AssistedRun) -> None:
    run.server.backends[0]["is_interactive"] = False


def password_of_old(run: AssistedRun) -> None:
    run.server.backends[0]["basic_auth_pass"] = "of old"


def set_up_refused(run: AssistedRun) -> None:
    for project in run.server.projects.values():
        project["label_config"] = "<View/>"


def odd_mask(run: AssistedRun) -> None:
    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("interactive-annotating"):
            return httpx.Response(200, json={"data": {"result": [{"value": {"rle": "odd"}}]}})
        return None

    run.server.before = answer


def change(run: AssistedRun, **settings: Any) -> None:
    run.settings = run.settings.model_copy(update=settings)


@pytest.mark.parametrize(
    ("break_it", "name", "what_to_do"),
    [
        (server_down, "server", "start it, or correct its address"),
        (no_label_studio, "server", "something else answers there"),
        (project_gone, "project", "do what the message says"),
        (nothing_sent, "project", "run `mask-engine assist send` with it"),
        (tasks_gone, "project", "run `mask-engine assist send` again"),
        (photo_gone, "photo through the server", "run `mask-engine assist send` again"),
        (address_changed, "photo through the server", "cannot show the photo"),
        (backend_down, "click backend", "`mask-engine serve`"),
        (no_address, "click backend", "correct backend.url"),
        (wrong_password, "its credentials", "use the same credentials"),
        (not_tied, "its set-up in the project", "run `mask-engine assist send` again"),
        (not_interactive, "its set-up in the project", "Interactive preannotations"),
        (password_of_old, "one click", "another password for the backend"),
        (set_up_refused, "one click", "labelling set-up changed"),
        (odd_mask, "one click", "another backend than `mask-engine serve`"),
    ],
)
def test_a_broken_link_is_named_with_its_cure_and_ends_the_walk(
    run: AssistedRun, break_it: Callable[[AssistedRun], None], name: str, what_to_do: str
) -> None:
    break_it(run)

    *held, broken = tried(run)

    assert [link.name for link in held] == LINKS[: LINKS.index(name)]
    assert all(link.ok for link in held)
    assert (broken.name, broken.ok) == (name, False)
    assert what_to_do in broken.cure


@pytest.mark.parametrize("token", ["f" * 40, "not.this.one"])
def test_a_token_of_either_kind_that_is_not_accepted_is_not_the_servers_fault(
    run: AssistedRun, token: str
) -> None:
    server, broken = tried(run, token)

    assert server.ok
    assert (broken.name, broken.ok) == ("token", False)
    assert "LABEL_STUDIO_API_KEY" in broken.cure


def test_no_token_at_all_is_said_of_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)

    (broken,) = walk(server_alone=ServerSettings(url=URL))

    assert (broken.name, broken.ok) == ("token", False)


@pytest.mark.parametrize("break_it", [password_of_old, set_up_refused, not_tied, not_interactive])
def test_sending_again_is_the_cure_that_it_is_said_to_be(
    run: AssistedRun, break_it: Callable[[AssistedRun], None]
) -> None:
    break_it(run)
    run.send()

    assert all(link.ok for link in tried(run))

"""From settings to the server, and to the project that is meant: found again, never doubled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from engine.assist.settings import AssistRun, ServerSettings
from engine.label_studio.client import LabelStudio
from engine.label_studio.home import Home
from engine.label_studio.server import state_of
from engine.label_studio.tokens import TOKEN_VARIABLE, token_from_environment
from model.errors import ConfigurationError
from pipelines.storage import Folder

PROJECT_FILE: Final = "label-studio.json"
MARK: Final = "Made by mask-engine for "


@dataclass(frozen=True)
class Connection:
    """An open connection.

    Attributes:
        studio: the server.
        home: of the local server, or None where it is another one.
    """

    studio: LabelStudio
    home: Home | None


@contextmanager
def connected(settings: ServerSettings) -> Iterator[Connection]:
    """The server of the settings: the one at their address, or the local one.

    Raises:
        ConfigurationError: if there is no token for it, or the local one is not up.
    """
    home = Home.of()
    url, local_token = _local(home) if settings.url is None else (settings.url, None)
    token = token_from_environment() if settings.url is not None else local_token
    if token is None:
        raise ConfigurationError(
            f"{url}: no token for it. Make one under Account & Settings there, and put it into "
            f"{TOKEN_VARIABLE}."
        )
    with LabelStudio(url, token) as studio:
        yield Connection(studio, home if settings.url is None else None)


@contextmanager
def connection_of(settings: ServerSettings, given: Connection | None) -> Iterator[Connection]:
    """The connection that is given, left open, or one of its own for the time it is needed.

    Raises:
        ConfigurationError: as `connected` does.
    """
    if given is not None:
        yield given
        return
    with connected(settings) as own:
        yield own


def find_project(studio: LabelStudio, settings: AssistRun, run: Folder) -> int | None:
    """The run's project: as it was remembered, or by its title and mark; None if there is none.

    Raises:
        ConfigurationError: if the run belongs to another server, or its project is gone.
    """
    known = _remembered(run)
    if known is None:
        mark = mark_of(settings)
        same = [p for p in studio.projects() if p["title"] == settings.project]
        marked = [int(p["id"]) for p in same if mark in (p.get("description") or "")]
        return marked[0] if marked else None
    if known["url"] != studio.url:
        raise ConfigurationError(
            f"{run.address}: its project is on {known['url']}, not on {studio.url}. Use that "
            f"server, or another out; if the server has only moved, change {PROJECT_FILE} there."
        )
    return int(known["project"])


def remember_project(run: Folder, studio: LabelStudio, project: int) -> None:
    """Writes down where the run's tasks are."""
    text = json.dumps({"url": studio.url, "project": project})
    run.write(PROJECT_FILE, text.encode())


def mark_of(settings: AssistRun) -> str:
    """What stands in a project's description, so that it is known again by nothing else."""
    return f"{MARK}{settings.out}"


def _remembered(run: Folder) -> dict[str, Any] | None:
    if not run.exists(PROJECT_FILE):
        return None
    known: dict[str, Any] = json.loads(run.read(PROJECT_FILE))
    return known


def _local(home: Home) -> tuple[str, str]:
    state = state_of(home)
    credentials = home.credentials()
    if state.url is None or credentials is None:
        raise ConfigurationError(
            "the local Label Studio is not running: start it with `mask-engine label-studio up`, "
            "or give the address of another one as server.url"
        )
    return state.url, credentials.token

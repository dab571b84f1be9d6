"""From settings to the server, and to the project that is meant: found again, never doubled."""

from __future__ import annotations

import json
import posixpath
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from engine.assist.settings import PROJECT_FILE, AssistRun, ServerSettings
from engine.label_studio.client import LabelStudio
from engine.label_studio.home import Home
from engine.label_studio.server import state_of
from engine.label_studio.tokens import TOKEN_VARIABLE, token_from_environment
from model.errors import ConfigurationError
from pipelines.storage import Folder

MARK: Final = "Made by mask-engine for "
_LOT: Final = re.compile(r" \([0-9a-f]{16}\)$")


class NoTokenError(ConfigurationError):
    """Nobody said with which token a server is to be asked."""


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
        NoTokenError: if there is no token for it.
        ConfigurationError: if the local one is not up.
    """
    home = Home.of()
    url, local_token = _local(home) if settings.url is None else (settings.url, None)
    token = token_from_environment() if settings.url is not None else local_token
    if token is None:
        raise NoTokenError(
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
        ConfigurationError: if the run belongs to another server, or its project is gone or stands
            for something else by now.
    """
    known = _remembered(run)
    if known is None:
        return None
    if known["url"] != studio.url:
        raise ConfigurationError(
            f"{run.address}: its project is on {known['url']}, not on {studio.url}. Use that "
            f"server, or another out; if the server has only moved, change {PROJECT_FILE} there."
        )
    number = known.get("project")
    if number is not None:
        _check_own(studio, int(number), known, run)
        return int(number)
    same = (p for p in studio.projects() if p["title"] == settings.project)
    return next((int(p["id"]) for p in same if _is_marked(p, known["mark"])), None)


def remember_project(run: Folder, studio: LabelStudio, project: int | None, mark: str) -> None:
    """Writes down where the run's tasks are, or, with None, will be."""
    known = {"url": studio.url, "project": project, "mark": mark}
    run.write(PROJECT_FILE, json.dumps(known).encode())


def mark_of(run: Folder) -> str:
    """What stands in a project's description, so that it is known again by nothing else.

    Part of it is drawn by lot, once: folders of two machines may have the same name.
    """
    known = (_remembered(run) or {}).get("mark")
    return str(known or f"{MARK}{run.address.rstrip('/')} ({secrets.token_hex(8)})")


def _check_own(studio: LabelStudio, number: int, known: Mapping[str, Any], run: Folder) -> None:
    """Refuses a number that stands for nothing, or for the project of somebody else."""
    place = run.path(PROJECT_FILE)
    project = studio.project(number)
    if project is None:
        raise ConfigurationError(
            f"{run.address}: its project, number {number} on {studio.url}, is gone: it was deleted "
            f"there, or the server was begun anew. What was collected stays. Remove {place} and "
            "send again to make a new project with a task for every photo."
        )
    mark = known.get("mark")
    if _is_marked(project, mark) if mark else _is_marked_as_before(project, run):
        return
    raise ConfigurationError(
        f"{run.address}: number {number} on {studio.url} is {project.get('title')!r}, whose "
        "description does not say that it is this run's project, and somebody else's must not be "
        "overwritten. If it is yours, put this line into its description: "
        f"{mark or MARK + run.address}; else remove {place} and send again to make a new project."
    )


def _is_marked(project: Mapping[str, Any], mark: str) -> bool:
    return mark in str(project.get("description") or "").splitlines()


def _is_marked_as_before(project: Mapping[str, Any], run: Folder) -> bool:
    """Runs from before a mark was kept: their folder, as it was stated when they began."""
    name = posixpath.basename(run.root)
    lines = str(project.get("description") or "").splitlines()
    stated = (line.removeprefix(MARK) for line in lines if line.startswith(MARK))
    folders = (_LOT.sub("", folder).rstrip("/") for folder in stated)
    return any(posixpath.basename(folder) == name for folder in folders)


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

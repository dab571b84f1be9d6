"""A walk along the chain from the server to one real click; the first broken link ends it.

Set-ups like this one fail silently in the browser: a click, and nothing happens. Every link here
is one that such a failure was traced to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import httpx

from engine.assist.connection import Connection, NoTokenError, connection_of, find_project
from engine.assist.settings import AssistRun, BackendSettings, ServerSettings
from engine.backend.labels import CLICK_CONTROL, IMAGE_CONTROL, IMAGE_KEY, OBJECT
from engine.label_studio.backend_links import backend_answers, backend_lets_in
from engine.label_studio.brush import decode_brush
from engine.label_studio.client import Json, LabelStudio
from engine.label_studio.links import BrokenLinkError, Link
from engine.label_studio.tokens import TOKEN_VARIABLE
from model.errors import MaskEngineError, RecordError
from pipelines.storage import Folder
from stages.photos import PhotoLimits, decode_photo

_SERVER: Final = "server"
_TOKEN: Final = "token"
_SERVER_CURE: Final = "start it, or correct its address"
_TOKEN_CURE: Final = (
    f"make one under Account & Settings on the server, and put it into {TOKEN_VARIABLE}"
)
_CURES: Final = {_SERVER: _SERVER_CURE, _TOKEN: _TOKEN_CURE}
_MESSAGE_CURE: Final = "do what the message says, then check again"
_FORM_CURE: Final = "something else answers there, or another version: see docs/annotating.md"


def walk(
    settings: AssistRun | None = None,
    server_alone: ServerSettings | None = None,
    *,
    connection: Connection | None = None,
) -> Iterator[Link]:
    """Tries each link; ends with the first broken one.

    Args:
        settings: a run whose project is tried as well.
        server_alone: without a run, the server that is tried; the local one if None.
        connection: to the server, in place of one of its own.
    """
    server = settings.server if settings else server_alone or ServerSettings()
    try:
        with connection_of(server, connection) as opened:
            chain = _Chain(settings, opened)
            for name, link in chain.links():
                tried = _tried(name, link)
                yield tried
                if not tried.ok:
                    return
    except NoTokenError as error:
        yield Link(_TOKEN, False, str(error), _TOKEN_CURE)
    except MaskEngineError as error:
        yield Link(_SERVER, False, str(error), _SERVER_CURE)


def _tried(name: str, link: Callable[[], str]) -> Link:
    started = time.perf_counter()
    try:
        says = link()
    except BrokenLinkError as error:
        return Link(name, False, str(error), error.cure)
    except MaskEngineError as error:
        return Link(name, False, str(error), _CURES.get(name, _MESSAGE_CURE))
    except (LookupError, TypeError, ValueError, AttributeError, httpx.InvalidURL) as error:
        # Whoever answers does not answer as a Label Studio or a backend does.
        says = f"an answer of an unexpected form ({type(error).__name__}: {error})"
        return Link(name, False, says, _FORM_CURE)
    return Link(name, True, says, seconds=time.perf_counter() - started)


class _Chain:
    """The links, each using what those before it found."""

    def __init__(self, settings: AssistRun | None, connection: Connection) -> None:
        self._settings = settings
        self._command = settings.command if settings else "assist"
        self._studio: LabelStudio = connection.studio
        self._project = 0
        self._task: Json = {}
        self._size_hw = (0, 0)
        self._backend_id = 0

    def links(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Names and trials, in the order of the chain."""
        yield _SERVER, self._server
        yield _TOKEN, self._token
        settings = self._settings
        if settings is None:
            return
        yield "project", lambda: self._find_project(settings)
        yield "photo through the server", lambda: self._photo(settings.limits)
        backend = settings.backend
        if backend is None:
            return
        yield "click backend", lambda: backend_answers(backend)
        yield "its credentials", lambda: backend_lets_in(backend)
        yield "its set-up in the project", lambda: self._tied(backend)
        yield "one click", self._click

    def _server(self) -> str:
        return f"{self._studio.url}, Label Studio {self._studio.version()}"

    def _token(self) -> str:
        return f"accepted, belongs to {self._studio.user()['email']}"

    def _find_project(self, settings: AssistRun) -> str:
        send = f"run `mask-engine {settings.command} send`"
        found = find_project(self._studio, settings, Folder(settings.out))
        if found is None:
            raise BrokenLinkError(
                f"no project {settings.project!r} that this configuration made",
                f"{send} with it",
            )
        self._project = found
        task = next(self._studio.tasks(found, resolve=True), None)
        if task is None:
            raise BrokenLinkError("the project has no task", f"{send} again")
        self._task = task
        return f"{settings.project!r}, number {found}"

    def _photo(self, limits: PhotoLimits) -> str:
        address = str(self._task["data"].get(IMAGE_KEY, ""))
        cure = _PHOTO_CURE.format(command=self._command)
        try:
            data = self._studio.fetch(address, most_bytes=limits.max_bytes)
            photo = decode_photo(data, limits)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise BrokenLinkError(f"{address[:200]}: {error}", cure) from None
        except RecordError as error:
            raise BrokenLinkError(f"{address[:200]}: is no photo ({error})", cure) from None
        self._size_hw = (photo.height, photo.width)
        return f"{photo.width} x {photo.height} px"

    def _tied(self, backend: BackendSettings) -> str:
        address = backend.url.rstrip("/")
        there = self._studio.get("/api/ml", {"project": self._project})
        ours = [b for b in there if b["url"].rstrip("/") == address]
        if not ours:
            raise BrokenLinkError(
                f"the project has no backend {address}",
                f"run `mask-engine {self._command} send` again",
            )
        if not ours[0].get("is_interactive"):
            raise BrokenLinkError(
                "it is not switched to interactive annotation",
                "switch on Settings > Model > Edit > Interactive preannotations",
            )
        self._backend_id = int(ours[0]["id"])
        return f"tied to the project, number {self._backend_id}"

    def _click(self) -> str:
        """The very request that the labelling page sends, through the server."""
        height, width = self._size_hw
        region = {
            "type": "keypointlabels",
            "from_name": CLICK_CONTROL,
            "to_name": IMAGE_CONTROL,
            "original_width": width,
            "original_height": height,
            "is_positive": True,
            "value": {"x": 50.0, "y": 50.0, "width": 0.3, "keypointlabels": [OBJECT]},
        }
        answer = self._studio.post(
            f"/api/ml/{self._backend_id}/interactive-annotating",
            {"task": self._task["id"], "context": {"result": [region]}},
        )
        if answer.get("errors"):
            raise BrokenLinkError(
                f"the server passed on: {answer['errors']}", _cure_of(answer, self._command)
            )
        result = (answer.get("data") or {}).get("result") or []
        if not result:
            raise BrokenLinkError(
                "a click in the middle of the photo gave no mask",
                "see what the backend says; a checkpoint that was not trained gives none",
            )
        try:
            mask_HW = decode_brush(result[0]["value"]["rle"], self._size_hw)
        except (LookupError, TypeError, ValueError) as error:
            raise BrokenLinkError(
                f"a click gave no brush mask of the photo's size ({type(error).__name__}: {error})",
                "another backend than `mask-engine serve` answers there: correct backend.url",
            ) from None
        return f"a mask of {int(mask_HW.sum()):,} px"


_PHOTO_CURE: Final = (
    "the server cannot show the photo: is it still there, is the folder shared with the server "
    "(run `mask-engine {command} send` again), and does server.photos say the right way?"
)


def _cure_of(answer: Json, command: str) -> str:
    """What to do about a click that the backend refused."""
    errors = str(answer["errors"])
    if "401" in errors:
        return (
            "the server has another password for the backend than the backend itself: run "
            f"`mask-engine {command} send` again, which tells it the one in use"
        )
    if "403" in errors:
        return (
            "the backend knows other photos than the project: start `mask-engine serve` with the "
            "same folder, and the same --source-name if the configuration has a source_name"
        )
    if "400" in errors:
        return (
            "the backend did not understand: was the labelling set-up changed on the server? Run "
            f"`mask-engine {command} send` again, which puts it right; the backend's terminal says "
            "more"
        )
    return "the backend's own output says more (the terminal of `mask-engine serve`)"

"""A walk along the chain from the server to one real click; the first broken link ends it.

Set-ups like this one fail silently in the browser: a click, and nothing happens. Every link here
is one that such a failure was traced to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from engine.assist.connection import Connection, connected, find_project
from engine.assist.settings import AssistRun, BackendSettings, ServerSettings
from engine.backend.credentials import load_credentials
from engine.backend.labels import CLICK_CONTROL, IMAGE_CONTROL, IMAGE_KEY, OBJECT
from engine.label_studio.brush import decode_brush
from engine.label_studio.client import Json, LabelStudio
from model.errors import MaskEngineError, RecordError
from pipelines.storage import Folder
from stages.photos import PhotoLimits, decode_photo

CLICK_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Link:
    """One link of the chain, tried.

    Attributes:
        name: of the link.
        ok: whether it holds.
        says: what was found.
        cure: what to do where it does not hold.
        seconds: how long trying took.
    """

    name: str
    ok: bool
    says: str
    cure: str = ""
    seconds: float = 0.0


class BrokenLinkError(MaskEngineError):
    """A link that does not hold.

    Attributes:
        cure: what to do.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


def walk(
    settings: AssistRun | None = None, server_alone: ServerSettings | None = None
) -> Iterator[Link]:
    """Tries each link; ends with the first broken one.

    Args:
        settings: a run whose project is tried as well.
        server_alone: without a run, the server that is tried; the local one if None.
    """
    server = settings.server if settings else server_alone or ServerSettings()
    try:
        with connected(server) as connection:
            chain = _Chain(settings, connection)
            for name, link in chain.links():
                tried = _tried(name, link)
                yield tried
                if not tried.ok:
                    return
    except MaskEngineError as error:
        yield Link("server", False, str(error), "start it, or correct the address or the token")


def _tried(name: str, link: Callable[[], str]) -> Link:
    started = time.perf_counter()
    try:
        says = link()
    except BrokenLinkError as error:
        return Link(name, False, str(error), error.cure)
    except MaskEngineError as error:
        return Link(name, False, str(error), "do what the message says, then check again")
    return Link(name, True, says, seconds=time.perf_counter() - started)


class _Chain:
    """The links, each using what those before it found."""

    def __init__(self, settings: AssistRun | None, connection: Connection) -> None:
        self._settings = settings
        self._studio: LabelStudio = connection.studio
        self._project = 0
        self._task: Json = {}
        self._size_hw = (0, 0)
        self._backend_id = 0

    def links(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Names and trials, in the order of the chain."""
        yield "server", self._server
        yield "token", self._token
        settings = self._settings
        if settings is None:
            return
        yield "project", lambda: self._find_project(settings)
        yield "photo through the server", lambda: self._photo(settings.limits)
        backend = settings.backend
        if backend is None:
            return
        yield "click backend", lambda: _backend_answers(backend)
        yield "its credentials", lambda: _backend_lets_in(backend)
        yield "its set-up in the project", lambda: self._tied(backend)
        yield "one click", self._click

    def _server(self) -> str:
        return f"{self._studio.url}, Label Studio {self._studio.version()}"

    def _token(self) -> str:
        return f"accepted, belongs to {self._studio.user()['email']}"

    def _find_project(self, settings: AssistRun) -> str:
        found = find_project(self._studio, settings, Folder(settings.out))
        if found is None:
            raise BrokenLinkError(
                f"no project {settings.project!r} that this configuration made",
                "run `mask-engine assist send` with it",
            )
        self._project = found
        task = next(self._studio.tasks(found, resolve=True), None)
        if task is None:
            raise BrokenLinkError("the project has no task", "run `mask-engine assist send`")
        self._task = task
        return f"{settings.project!r}, number {found}"

    def _photo(self, limits: PhotoLimits) -> str:
        address = str(self._task["data"].get(IMAGE_KEY, ""))
        try:
            data = self._studio.fetch(address, most_bytes=limits.max_bytes)
            photo = decode_photo(data, limits)
        except httpx.HTTPError as error:
            raise BrokenLinkError(f"{address}: {error}", _PHOTO_CURE) from None
        except RecordError as error:
            raise BrokenLinkError(f"{address}: is no photo ({error})", _PHOTO_CURE) from None
        self._size_hw = (photo.height, photo.width)
        return f"{photo.width} x {photo.height} px"

    def _tied(self, backend: BackendSettings) -> str:
        address = backend.url.rstrip("/")
        there = self._studio.get("/api/ml", {"project": self._project})
        ours = [b for b in there if b["url"].rstrip("/") == address]
        if not ours:
            raise BrokenLinkError(
                f"the project has no backend {address}", "run `mask-engine assist send` again"
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
            raise BrokenLinkError(f"the server passed on: {answer['errors']}", _cure_of(answer))
        result = (answer.get("data") or {}).get("result") or []
        if not result:
            raise BrokenLinkError(
                "a click in the middle of the photo gave no mask",
                "see what the backend says; a checkpoint that was not trained gives none",
            )
        mask_HW = decode_brush(result[0]["value"]["rle"], self._size_hw)
        return f"a mask of {int(mask_HW.sum()):,} px"


_PHOTO_CURE: Final = (
    "the server cannot show the photo: is it still there, is the folder shared with the server "
    "(run `mask-engine assist send` again), and does server.photos say the right way?"
)


def _cure_of(answer: Json) -> str:
    """What to do about a click that the backend refused."""
    if "403" in str(answer["errors"]):
        return (
            "the backend knows other photos than the project: start `mask-engine serve` with the "
            "same folder, and the same --source-name if the configuration has a source_name"
        )
    return "the backend's own output says more (the terminal of `mask-engine serve`)"


def _backend_answers(backend: BackendSettings) -> str:
    response = _ask(backend, auth=None)
    if response.status_code not in {httpx.codes.OK, httpx.codes.UNAUTHORIZED}:
        raise BrokenLinkError(
            f"{backend.url} answers HTTP {response.status_code}",
            "something else listens there: give mask-engine serve another port, or correct the url",
        )
    return f"{backend.url} answers"


def _backend_lets_in(backend: BackendSettings) -> str:
    credentials = load_credentials(backend.credentials_file)
    response = _ask(backend, auth=(credentials.user, credentials.password))
    if response.status_code != httpx.codes.OK:
        raise BrokenLinkError(
            f"{backend.url} refuses the credentials of {credentials.origin}",
            "let the backend and this command use the same credentials (file or environment)",
        )
    model: Any = response.json().get("model_version")
    return f"accepted; the model is {model}"


def _ask(backend: BackendSettings, auth: tuple[str, str] | None) -> httpx.Response:
    try:
        return httpx.get(f"{backend.url.rstrip('/')}/health", auth=auth, timeout=10.0)
    except httpx.HTTPError as error:
        raise BrokenLinkError(
            f"{backend.url} does not answer ({error})", "start it: mask-engine serve"
        ) from None

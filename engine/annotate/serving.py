"""Puts an annotating run together, serves it until it is stopped, and makes shards of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from engine.annotate.app import Annotating
from engine.annotate.collecting import GivenMasks, collect_finished, open_annotated
from engine.annotate.logging_clicks import LoggedClicks
from engine.annotate.settings import AnnotateRun
from engine.annotate.work_folder import WorkFolder
from engine.backend.credentials import Credentials
from engine.backend.server import listen, serve_app
from engine.clicks.log import open_click_log
from engine.page.app import Json, Photos, build_page
from engine.page.browser_model import browser_model
from engine.page.looking import Looking, SegmenterFactory
from engine.page.serving import Told, address_of, page_credentials
from engine.page.shelf import PhotoShelf
from model.errors import BusyError, ConfigurationError, MaskEngineError
from pipelines.collect import SHARD_SIZE
from pipelines.removals import removed_ids
from pipelines.run_folder import alone_at
from pipelines.storage import Folder, is_local
from pipelines.summary import Summary
from stages.records import ImageRef


@dataclass
class Collector:
    """Collects when there is enough for a shard, in a thread of its own, and at the end.

    Attributes:
        settings: the run's.
        photos: by id.
        work: everybody's.
        model_id: of the model that the page answers with.
        told: takes lines about what went wrong.
        last: what the run held after the last collection, or None.
    """

    settings: AnnotateRun
    photos: dict[str, ImageRef]
    work: WorkFolder
    model_id: str
    told: Told
    last: Summary | None = field(default=None, init=False)
    _finished: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def finished(self) -> None:
        """One more photo was finished by somebody."""
        self._finished += 1
        if self._finished % SHARD_SIZE == 0:
            threading.Thread(target=self._try, name="collecting").start()

    def collect(self) -> Summary:
        """Makes shards of what is finished."""
        with self._lock:
            self.last = collect_finished(self.settings, self.photos, self.work, self.model_id)
            return self.last

    @contextlib.asynccontextmanager
    async def at_the_end(self, _app: Starlette) -> AsyncIterator[None]:
        """Collects when the service is stopped, by whatever signal."""
        yield
        self.told("making shards of what was finished")
        await run_in_threadpool(self._try)

    def _try(self) -> None:
        try:
            self.collect()
        except MaskEngineError as error:  # the work is safe; the next collection goes on
            self.told(f"not collected yet: {error}")


@dataclass(frozen=True)
class AnnotatingRun:
    """A run that is ready to be served."""

    app: Starlette
    collector: Collector
    shelf: PhotoShelf


def build_annotating(
    settings: AnnotateRun,
    credentials: Credentials,
    model_folder: Path,
    *,
    told: Told,
    segmenter: SegmenterFactory | None = None,
) -> AnnotatingRun:
    """The application and its collector; `segmenter` takes the checkpoint's place.

    Raises:
        ConfigurationError: if the run's folder holds another run.
    """
    shelf = PhotoShelf(settings.source, settings.source_name, settings.limits)
    removed = removed_ids(Folder(settings.out))
    photos = {p.image_id: p for p in shelf.photos if p.image_id not in removed}
    if not photos:
        raise ConfigurationError(f"{settings.source}: holds no photos, or all were taken out")
    open_annotated(settings, shelf.photos[0].source)
    backend = settings.page.as_backend(settings.source, settings.source_name)
    looking = Looking(backend, shelf, segmenter=segmenter)
    work = WorkFolder(Folder(settings.out))
    log = open_click_log(settings.click_log, setting="click_log")
    clicks = LoggedClicks(log, settings.project, looking.model_id)
    clicks.catch_up(work)
    collector = Collector(settings, photos, work, looking.model_id, told)
    annotating = Annotating(
        settings, photos, work, GivenMasks.of(settings), clicks, finished=collector.finished
    )
    routes = [*Photos(shelf, looking).routes(), *annotating.routes()]
    app = build_page(
        page_settings(settings),
        model_folder,
        credentials,
        routes,
        hosts=settings.page.hosts,
        lifespan=collector.at_the_end,
    )
    return AnnotatingRun(app, collector, shelf)


def page_settings(settings: AnnotateRun) -> Json:
    """What the page reads first."""
    return {
        "mode": "annotate",
        "model": "model/",
        "photos": [],
        "labels": list(settings.names),
        "queue": {
            "kind": settings.kind,
            "instructions": settings.shown_instructions,
            "hintSeconds": settings.hint_seconds,
        },
    }


def serve_annotating(
    settings: AnnotateRun, *, told: Told, ready: Callable[[str], None]
) -> Summary | None:
    """Serves until stopped, then collects; returns what the run holds.

    Args:
        settings: the run's.
        told: takes lines about the work.
        ready: takes the page's address once it is served.

    Raises:
        ConfigurationError: if something asked for cannot be done, or the run is served already.
    """
    with locked(settings.out), listen(settings.page.as_backend(None)) as listening:
        credentials = page_credentials(settings.page)
        folder = browser_model(settings.page.checkpoint, told=told)
        run = build_annotating(settings, credentials, folder, told=told)
        run.collector.collect()  # what a killed server left
        ready(address_of(listening, credentials))
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how people end it
            serve_app(run.app, listening)
        return run.collector.last


@contextlib.contextmanager
def locked(out: str) -> Iterator[None]:
    """One server a run, and nobody else who changes it meanwhile: it keeps people's work in mind.

    Raises:
        BusyError: if there is another, or another command changes the run.
        ConfigurationError: if the folder is foreign, or not on this machine.
    """
    if not is_local(Folder(out).filesystem):
        raise ConfigurationError(
            f"{out}: people's work is saved on this machine while they work; give a local folder"
        )
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(alone_at(out))
        except BusyError as error:
            raise BusyError(
                f"{error} If it is another `mask-engine annotate`, this folder is served already: "
                "use that page, or stop it first."
            ) from None
        yield

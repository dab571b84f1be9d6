"""The annotating page's server: the next photo, what was done on it so far, and saving."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.annotate.collecting import GivenMasks
from engine.annotate.logging_clicks import LoggedClicks
from engine.annotate.protocol import read_work
from engine.annotate.queue import Queue
from engine.annotate.settings import AnnotateRun
from engine.annotate.work_folder import WorkFolder
from engine.backend.errors import RequestError
from engine.backend.security import read_body
from engine.page.app import photo_entry
from model.errors import MaskEngineError
from stages.records import ImageRef

Json = dict[str, Any]
_LONGEST_NAME: Final = 100


class Annotating:
    """What answers at the annotating page's addresses.

    Args:
        settings: the run's.
        photos: by id, in the order they are given out.
        work: everybody's.
        given: masks that photos begin with.
        clicks: where they are logged.
        finished: called when a photo was finished.
    """

    def __init__(
        self,
        settings: AnnotateRun,
        photos: Mapping[str, ImageRef],
        work: WorkFolder,
        given: GivenMasks,
        clicks: LoggedClicks,
        *,
        finished: Callable[[], None],
    ) -> None:
        self._photos = photos
        self._work = work
        self._given = given
        self._clicks = clicks
        self._given_lock = threading.Lock()
        self._queue = Queue(list(photos.values()), work, settings.annotators)
        self._finished = finished
        self._max_body_bytes = settings.page.max_body_mib * 2**20

    def routes(self) -> list[BaseRoute]:
        """Their addresses."""
        return [
            Route("/api/next", self.next),
            Route("/api/work/{id}", self.save, methods=["PUT"]),
        ]

    async def next(self, request: Request) -> Response:
        """The photo that a person is to do now, with what is known about it."""
        return JSONResponse(await run_in_threadpool(self._next, _annotator(request)))

    async def save(self, request: Request) -> Response:
        """Keeps a person's work on a photo."""
        body = await read_body(request, self._max_body_bytes)
        return JSONResponse(await run_in_threadpool(self._save, request.path_params["id"], body))

    def _next(self, annotator: str) -> Json:
        progress = asdict(self._queue.progress(annotator))
        photos = self._queue.next(annotator)
        if not photos:
            return {"photo": None, "progress": progress}
        now, *later = photos
        work = self._work.find(now.image_id, annotator)
        return {
            "photo": photo_entry(now.image_id, now.path),
            "given": self._given_masks(now.image_id),
            "work": None if work is None else work.model_dump(mode="json"),
            "ahead": [photo_entry(photo.image_id, photo.path) for photo in later],
            "progress": progress,
        }

    def _given_masks(self, image_id: str) -> list[Json]:
        """Most prominent first: large and sure."""
        with self._given_lock:
            masks = self._given.get(image_id).values()
        ordered = sorted(masks, key=lambda mask: -mask.area * (mask.predicted_iou or 1.0))
        return [
            {
                "id": mask.mask_id,
                "segmentation": {
                    "size": list(mask.segmentation.size_hw),
                    "counts": mask.segmentation.counts,
                },
                "label": mask.category or "",
                "predicted_iou": mask.predicted_iou,
                "stability_score": mask.stability_score,
            }
            for mask in ordered
        ]

    def _save(self, image_id: str, body: bytes) -> Json:
        if image_id not in self._photos:
            raise RequestError(404, f"no photo has the id {image_id[:40]!r}")
        work = read_work(body)
        try:
            kept = self._work.save(image_id, work)
            # Of the work that counts, so that a page which sends again has them logged at last.
            self._clicks.take(image_id, self._work.find(image_id, work.annotator) or work)
        except (MaskEngineError, OSError) as error:
            raise RequestError(503, f"it could not be saved: {error}") from None
        if kept and work.done:
            self._finished()
        return {"kept": kept, "progress": asdict(self._queue.progress(work.annotator))}


def _annotator(request: Request) -> str:
    name = request.query_params.get("annotator", "").strip()
    if not name or len(name) > _LONGEST_NAME:
        raise RequestError(400, f"annotator: a name of 1 to {_LONGEST_NAME} letters is needed")
    return name

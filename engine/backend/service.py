"""From the body of a `/predict` to its answer. No HTTP in here; any number of threads may call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.backend.answers import (
    NO_PREDICTION,
    Json,
    MaskRegion,
    new_region_id,
    nothing,
    one_mask,
)
from engine.backend.conversation import Interlocutor, patch_of
from engine.backend.embeddings import Embeddings
from engine.backend.errors import RequestError
from engine.backend.label_set_up import LabelSetUp, read_label_set_up
from engine.backend.photo_door import PhotoDoor
from engine.backend.prompts import check_size, conversation_of, smart_label_of
from engine.backend.protocol import PredictRequest, PromptRegion, Task, read_predict_request
from engine.clicks.bell import Bell
from engine.clicks.log import ClickEntry, ClickLog
from model.errors import MaskEngineError, RecordError
from model.segmenter import Embedding
from stages.records import ImageRef, PromptRecord

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Seen:
    """A request that was understood, and when it came.

    Attributes:
        request: as it was sent.
        task: the one that is asked about.
        at: seconds since 1970.
        started: on the clock that measures answers.
    """

    request: PredictRequest
    task: Task
    at: float
    started: float


class ClickService:
    """Answers prompts about photos.

    Args:
        model_id: of the model that answers.
        interlocutor: the model, in conversation.
        embeddings: of photos.
        door: to photos.
        log: of prompts.
    """

    def __init__(
        self,
        model_id: str,
        interlocutor: Interlocutor,
        embeddings: Embeddings,
        door: PhotoDoor,
        log: ClickLog,
    ) -> None:
        self.model_id = model_id
        self._interlocutor = interlocutor
        self._embeddings = embeddings
        self._door = door
        self._log = log

    def ring(self) -> None:
        """Wakes a collection that waits."""
        Bell(self._log.folder).ring()

    def predict(self, body: bytes, *, later: Callable[[Callable[[], None]], object]) -> Json:
        """Answers a `/predict`.

        Args:
            body: as it was sent.
            later: takes work that nobody waits for.

        Raises:
            RequestError: if it cannot be answered.
        """
        at, started = time.time(), time.perf_counter()
        request = read_predict_request(body)
        context = request.params.context
        prompts = context.prompts if context else []
        if not prompts or not request.tasks:
            if len(request.tasks) == 1:
                self._opened(Seen(request, request.tasks[0], at, started), later)
                if context is None:
                    return {"results": [NO_PREDICTION]}
            return {"results": [nothing(self.model_id) for _ in request.tasks]}
        seen = Seen(request, request.tasks[0], at, started)
        return {"results": [self._answer(seen, prompts)]}

    def _opened(self, seen: Seen, later: Callable[[Callable[[], None]], object]) -> None:
        """Notes that somebody opened a task, and embeds its photo while they look at it."""
        set_up = _set_up(seen.request)
        photo = self._door.find(seen.task.data, set_up.image_key)
        self._write(seen, photo, None, None)
        later(lambda: self._embed_ahead(photo))

    def _embed_ahead(self, photo: ImageRef) -> None:
        try:
            self._embeddings.of(photo)
        except MaskEngineError as error:
            LOGGER.warning("photo %s: not embedded ahead (%s)", photo.image_id, _kind(error))

    def _answer(self, seen: Seen, prompts: list[PromptRegion]) -> Json:
        set_up = _set_up(seen.request)
        photo = self._door.find(seen.task.data, set_up.image_key)
        embedding = self._embedding(photo)
        size_hw = embedding.geometry.original_hw
        check_size(prompts, size_hw)
        conversation = replace(
            conversation_of(prompts, photo.image_id, size_hw),
            version=self._embeddings.version_of(photo),
        )
        region = None
        if conversation.asks_for_something:
            answer = self._interlocutor.answer(embedding, conversation)
            patch = patch_of(answer, embedding)
            if patch is not None:
                label = set_up.mask_label(smart_label_of(prompts).name)
                region = MaskRegion(new_region_id(), patch, size_hw, label, answer.predicted_iou)
        reply = (
            nothing(self.model_id) if region is None else one_mask(region, set_up, self.model_id)
        )
        self._write(seen, photo, conversation.prompt, region, conversation.granularity)
        return reply

    def _embedding(self, photo: ImageRef) -> Embedding:
        try:
            return self._embeddings.of(photo)
        except RecordError as error:
            LOGGER.warning("photo %s: cannot be read (%s)", photo.image_id, error.kind)
            hint = "try again" if error.passing else "it has to be mended where it is stored"
            raise RequestError(
                503 if error.passing else 422,
                f"photo {photo.image_id} cannot be read ({error.kind}): {hint}",
            ) from None

    def _write(
        self,
        seen: Seen,
        photo: ImageRef,
        prompt: PromptRecord | None,
        region: MaskRegion | None,
        granularity: str = "auto",
    ) -> None:
        context = seen.request.params.context
        prompt_ids = tuple(p.id for p in context.prompts if p.id) if context else ()
        entry = ClickEntry(
            at=seen.at,
            project=seen.request.project_id,
            task=str(seen.task.id),
            image_id=photo.image_id,
            prompt=prompt,
            granularity=granularity,
            region_id=None if region is None else region.region_id,
            prompt_ids=prompt_ids,
            model_id=self.model_id,
            predicted_iou=None if region is None else region.score,
            milliseconds=round((time.perf_counter() - seen.started) * 1000, 2),
        )
        try:
            self._log.append(entry)
        except OSError as error:
            LOGGER.exception("the log of prompts cannot be written")
            raise RequestError(
                503,
                f"the log of prompts cannot be written ({error.strerror}), and a mask without it "
                "would have no history: make room on the backend's disk",
            ) from None


def _kind(error: MaskEngineError) -> str:
    """What is wrong, without the address: it may be one that was sent."""
    return error.kind if isinstance(error, RecordError) else type(error).__name__


def _set_up(request: PredictRequest) -> LabelSetUp:
    return read_label_set_up(request.label_config) if request.label_config else LabelSetUp()

"""What a server's model does for the page: embeddings of photos, and all masks of one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from engine.backend.embeddings import Embeddings
from engine.backend.model_threads import SegmenterOnTwoThreads
from engine.backend.settings import BackendSettings
from engine.page.shelf import PhotoShelf, unreadable
from model.errors import RecordError
from model.segmenter import PromptableSegmenter
from pipelines.embedding_store import EmbeddingStore
from pipelines.manifest import usable_cores
from pipelines.promised_model import CheckpointSegmenter, promised_model
from stages.automatic import propose_masks
from stages.photos import decode_photo
from stages.presets import parameters_for

SegmenterFactory = Callable[[], PromptableSegmenter]
# All masks of a photo while somebody waits: the quick form.
EVERYTHING_PRESET: Final = "fast"
Json = dict[str, Any]


class Looking:
    """The server's model, loaded when it is first asked. Threads may ask at once.

    Args:
        settings: which model, and where embeddings are kept.
        shelf: the photos.
        segmenter: gives the model, in place of the configured checkpoint.
    """

    def __init__(
        self,
        settings: BackendSettings,
        shelf: PhotoShelf,
        *,
        segmenter: SegmenterFactory | None = None,
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._given = segmenter
        self._promised = promised_model(settings.checkpoint, segmenter)
        self._lock = threading.Lock()
        self._one_photo = threading.Lock()
        self._loaded: tuple[PromptableSegmenter, Embeddings] | None = None

    @property
    def model_id(self) -> str:
        """Of the model."""
        return self._promised.model_id

    def features(self, image_id: str) -> bytes:
        """A photo's embedding, as `Embedding.to_bytes` writes it.

        Raises:
            RequestError: if the photo is unknown or cannot be read.
        """
        photo = self._shelf.find(image_id)
        try:
            return self._model()[1].of(photo).to_bytes()
        except RecordError as error:
            raise unreadable(photo, error) from None

    def everything(self, image_id: str) -> Json:
        """All masks that the automatic stage finds, in SA-1B's form.

        Raises:
            RequestError: if the photo is unknown or cannot be read.
        """
        photo = self._shelf.find(image_id)
        parameters, _ = parameters_for(EVERYTHING_PRESET, {}, self._promised.recommended)
        try:
            with self._one_photo:
                data = self._shelf.read(photo, self._settings.limits)
                decoded = decode_photo(data, self._settings.limits)
                found = propose_masks(
                    self._model()[0], decoded.pixels_HWC, image_id=image_id, parameters=parameters
                )
        except RecordError as error:
            raise unreadable(photo, error) from None
        return {
            "image": {"width": decoded.width, "height": decoded.height, "file_name": photo.path},
            "annotations": [
                {
                    "segmentation": {
                        "size": list(mask.segmentation.size_hw),
                        "counts": mask.segmentation.counts,
                    },
                    "predicted_iou": mask.predicted_iou,
                    "stability_score": mask.stability_score,
                }
                for mask in found.masks
            ],
        }

    def _model(self) -> tuple[PromptableSegmenter, Embeddings]:
        with self._lock:
            if self._loaded is None:
                settings = self._settings
                threads = settings.threads or usable_cores()
                load = self._given or CheckpointSegmenter(
                    settings.checkpoint, settings.device, threads
                )
                model = SegmenterOnTwoThreads(load())
                self._loaded = model, self._embeddings(model)
            return self._loaded

    def _embeddings(self, model: PromptableSegmenter) -> Embeddings:
        settings = self._settings
        store = settings.store and EmbeddingStore(
            settings.store, model.model_id, max_bytes=settings.store_bytes
        )
        return Embeddings(
            model,
            self._shelf.read,
            store=store or None,
            limits=settings.limits,
            memory_bytes=settings.memory_bytes,
        )

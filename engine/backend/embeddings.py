"""A photo's embedding: from memory, from the store, or made once however many ask at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from engine.backend.bounded_cache import BoundedCache
from model.errors import MaskEngineError
from model.segmenter import Embedding, PromptableSegmenter
from pipelines.embedding_store import EmbeddingStore, StoredEmbedding, same_file
from pipelines.reading import stamp_of
from stages.photos import PhotoLimits, decode_photo
from stages.records import ImageRef

LOGGER = logging.getLogger(__name__)

MEMORY_BYTES: Final = 2**30
# Photos' files in memory at once: one is read while another is embedded.
_FILES_AT_ONCE: Final = 2
# An embedding ready for prompts also holds what the decoder makes of it once a photo.
_READY_SIZE: Final = 4

ReadPhoto = Callable[[ImageRef, PhotoLimits], bytes]


@dataclass(frozen=True, eq=False)
class _Ready:
    embedding: Embedding
    size_bytes: int
    stamp: str


class Embeddings:
    """Embeddings by photo; any number of threads may ask.

    Args:
        segmenter: the model.
        read_photo: gives a photo's bytes, or refuses.
        store: where embeddings are looked for and kept; None keeps them in memory only.
        limits: what a photo may cost.
        memory_bytes: of embeddings kept in memory.
    """

    def __init__(
        self,
        segmenter: PromptableSegmenter,
        read_photo: ReadPhoto,
        *,
        store: EmbeddingStore | None = None,
        limits: PhotoLimits | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._segmenter = segmenter
        self._read_photo = read_photo
        self._store = store
        self._limits = limits or PhotoLimits()
        self._ready: BoundedCache[str, _Ready] = BoundedCache(
            memory_bytes, lambda ready: ready.size_bytes
        )
        self._under_way: dict[str, Future[Embedding]] = {}
        self._lock = threading.Lock()
        # One photo's pixels in memory at a time.
        self._decoding = threading.Lock()
        self._reading = threading.Semaphore(_FILES_AT_ONCE)

    def of(self, photo: ImageRef) -> Embedding:
        """The embedding of a photo as its file is now.

        Raises:
            RecordError: if the photo cannot be read or decoded; asking again tries again.
            RequestError: if the photo may not be read.
        """
        ready = self._ready.get(photo.image_id)
        if ready is not None and same_file(ready.stamp, self.version_of(photo)):
            return ready.embedding
        with self._lock:
            waiting = self._under_way.get(photo.image_id)
            if waiting is None:
                mine: Future[Embedding] = Future()
                self._under_way[photo.image_id] = mine
        if waiting is not None:
            return waiting.result()
        return self._make(photo, mine)

    def version_of(self, photo: ImageRef) -> str:
        """What is another after a photo's file was replaced; empty where nobody can say at once.

        Files on this machine are looked at each time. Others are when their embedding is fetched
        from the store: a click does not wait for a far one.
        """
        return "" if "://" in photo.uri else stamp_of(photo.uri)

    def _make(self, photo: ImageRef, mine: Future[Embedding]) -> Embedding:
        """Finds or makes the embedding for all who wait, and hands them whatever went wrong."""
        try:
            ready = self._from_store(photo) or self._embed(photo)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            self._ready.put(photo.image_id, ready)
            mine.set_result(ready.embedding)
            return ready.embedding
        finally:
            with self._lock:
                del self._under_way[photo.image_id]

    def _from_store(self, photo: ImageRef) -> _Ready | None:
        stored = None if self._store is None else self._store.read(photo.image_id)
        if stored is None:
            return None
        if not stored.is_of(stamp_of(photo.uri)):
            LOGGER.warning("photo %s: was replaced, so it is embedded again", photo.image_id)
            return None
        try:
            embedding = self._segmenter.embedding_from_bytes(stored.data)
        except ValueError as error:
            LOGGER.warning("photo %s: %s", photo.image_id, error)
            return None
        return _Ready(embedding, _READY_SIZE * len(stored.data), stored.stamp)

    def _embed(self, photo: ImageRef) -> _Ready:
        stamp = stamp_of(photo.uri)  # first: a file that is replaced meanwhile is embedded again
        with self._reading:
            data = self._read_photo(photo, self._limits)
            with self._decoding:
                decoded = decode_photo(data, self._limits)
                embedding = self._segmenter.embed(decoded.pixels_HWC)
        kept = embedding.to_bytes()
        self._keep(photo, StoredEmbedding(kept, decoded.sha256, stamp))
        return _Ready(embedding, _READY_SIZE * len(kept), stamp)

    def _keep(self, photo: ImageRef, stored: StoredEmbedding) -> None:
        """Writes to the store; a store that cannot be written slows clicks down, no more."""
        if self._store is None:
            return
        try:
            self._store.write(photo.image_id, stored)
        except MaskEngineError as error:
            LOGGER.warning("photo %s: its embedding was not kept (%s)", photo.image_id, error)

# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""The Beam side of embedding ahead: photos' references in, files of the store and failures out.

References come in small batches, so that the next photo is read while the model works on one;
pixels and embeddings pass no shuffle.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import apache_beam as beam
from apache_beam.pvalue import PCollection

from model.errors import MaskEngineError, RecordError
from model.segmenter import PromptableSegmenter
from pipelines.embedding_store import EmbeddingStore, StoredEmbedding
from pipelines.reading import read_photo, stamp_of
from pipelines.shard_work import SegmenterFactory
from pipelines.shared_model import SharedModel
from pipelines.work_link import ImageDone, current_link
from stages.photos import Photo, PhotoLimits, decode_photo
from stages.records import ImageRef

BATCH_PHOTOS: Final = 16
_READ_AHEAD: Final = 2

Batch = tuple[ImageRef, ...]
# A photo, and the stamp of its file.
Loaded = tuple[Photo, str]


@dataclass(frozen=True)
class FailedPhoto:
    """A photo without an embedding, and why."""

    path: str
    kind: str
    message: str


@runtime_checkable
class NamesFailures(Protocol):
    """A link that wants to know which photos failed, not only how many."""

    def name(self, failed: FailedPhoto) -> None:
        """A photo failed."""
        ...


@dataclass(frozen=True)
class EmbedRecipe:
    """All that a worker needs; small, because it is pickled.

    Attributes:
        store: address of the store.
        model_id: the model that was promised.
        limits: what a photo may cost.
        segmenter: gives the model.
    """

    store: str
    model_id: str
    limits: PhotoLimits
    segmenter: SegmenterFactory


class EmbedPhotos(beam.PTransform[PCollection[Batch], PCollection[FailedPhoto]]):
    """Batches of photos to files of the store; failures come out."""

    def __init__(self, recipe: EmbedRecipe) -> None:
        super().__init__()
        self._recipe = recipe

    def expand(self, batches: PCollection[Batch]) -> PCollection[FailedPhoto]:
        """Wires the one step."""
        return batches | "Embed" >> beam.ParDo(_EmbedBatch(self._recipe))


class _EmbedBatch(beam.DoFn):
    def __init__(self, recipe: EmbedRecipe) -> None:
        self._recipe = recipe
        self._model = SharedModel(recipe.segmenter)

    def setup(self) -> None:
        self._model.load()
        self._store = EmbeddingStore(self._recipe.store, self._recipe.model_id)

    def process(self, batch: Batch) -> Iterator[FailedPhoto]:
        link = current_link()
        try:
            for photo, load in _read_ahead(batch, self._recipe.limits):
                link.image_begun(photo.path)
                failed = _embed(photo, load, self._model.segmenter, self._store)
                link.image_done(ImageDone(0, failed.kind if failed else None))
                if failed is not None:
                    if isinstance(link, NamesFailures):
                        link.name(failed)
                    yield failed
        except MaskEngineError as error:
            if not link.failed(error):
                raise


def _embed(
    photo: ImageRef,
    load: Callable[[], Loaded],
    segmenter: PromptableSegmenter,
    store: EmbeddingStore,
) -> FailedPhoto | None:
    """Embeds one photo. The border of one photo: what is wrong with it stops nothing else."""
    try:
        loaded, stamp = load()
        embedding = segmenter.embed(loaded.pixels_HWC)
    except RecordError as error:
        return FailedPhoto(photo.path, error.kind, str(error))
    except Exception as error:  # noqa: BLE001
        return FailedPhoto(photo.path, "internal", f"{type(error).__name__}: {error}")
    store.write(photo.image_id, StoredEmbedding(embedding.to_bytes(), loaded.sha256, stamp))
    return None


def _read_ahead(
    batch: Batch, limits: PhotoLimits
) -> Iterator[tuple[ImageRef, Callable[[], Loaded]]]:
    """Each photo with what gives or raises its pixels; the next ones are being read meanwhile."""
    loading: deque[tuple[ImageRef, Future[Loaded]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        for photo in batch:
            loading.append((photo, reader.submit(_load, photo, limits)))
            if len(loading) > _READ_AHEAD:
                first, future = loading.popleft()
                yield first, future.result
        for first, future in loading:
            yield first, future.result


def _load(photo: ImageRef, limits: PhotoLimits) -> Loaded:
    stamp = stamp_of(photo.uri)  # first: a file that is replaced meanwhile is embedded again
    return decode_photo(read_photo(photo.uri, limits), limits), stamp


def batches_of(photos: Sequence[ImageRef]) -> list[Batch]:
    """Photos in batches, in their order."""
    return [
        tuple(photos[start : start + BATCH_PHOTOS]) for start in range(0, len(photos), BATCH_PHOTOS)
    ]

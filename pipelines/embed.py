# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""Embeddings of a source's photos, made ahead of the people who will click on them.

A Beam pipeline in this process: photos' references in small batches go in, files of the store and
failures come out; pixels and embeddings pass no shuffle. What is in the store is done, so a run
that was killed goes on where it was.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection
from pydantic import BaseModel, ConfigDict, Field

from model.errors import MaskEngineError, RecordError, StopError
from model.segmenter import PromptableSegmenter
from pipelines.beam_pipeline import IN_MEMORY
from pipelines.embedding_store import EmbeddingStore, StoredEmbedding
from pipelines.manifest import usable_cores
from pipelines.promised_model import CheckpointSegmenter, promised_model
from pipelines.reading import read_photo
from pipelines.shard_work import SegmenterFactory
from pipelines.shared_model import SharedModel
from pipelines.sources import list_photos
from pipelines.work_link import ImageDone, NobodyListens, current_link, linked
from stages.photos import Photo, PhotoLimits, decode_photo
from stages.records import ImageRef

BATCH_PHOTOS: Final = 16
_READ_AHEAD: Final = 2
# Enough to see what is wrong; all are counted.
_MOST_FAILURES_NAMED: Final = 20

Batch = tuple[ImageRef, ...]
Tell = Callable[[int, int], None]


class EmbedRun(BaseModel):
    """Embeddings for all photos of a source."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    source: str = Field(
        description="Photos: a folder, a glob, a .txt file of addresses, or an fsspec URL."
    )
    out: str = Field(description="The store's folder: a path or an fsspec URL.")
    source_name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the source, part of every id; the last part of its address if unset.",
    )
    checkpoint: str = Field(
        default="starter", description="The model: a name, or the path of a checkpoint file."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the model; the cores if unset."
    )
    device: str = Field(default="cpu", description="Where the model runs: cpu, cuda or mps.")
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )


@dataclass(frozen=True)
class FailedPhoto:
    """A photo without an embedding, and why."""

    path: str
    kind: str
    message: str


@dataclass(frozen=True)
class EmbedSummary:
    """What a run gave.

    Attributes:
        photos: of the source.
        there_before: that had an embedding of this model already.
        embedded: new ones.
        failures: photos that failed, by kind of error.
        failed: the first of them.
        model_id: the model.
        seconds: of this run.
    """

    photos: int
    there_before: int
    embedded: int
    failures: dict[str, int]
    failed: tuple[FailedPhoto, ...]
    model_id: str
    seconds: float


def run_embed(
    config: EmbedRun,
    *,
    segmenter: SegmenterFactory | None = None,
    progress: Tell | None = None,
) -> EmbedSummary:
    """Embeds every photo of a source that the store does not hold for this model.

    Args:
        config: the run.
        segmenter: gives the model, in place of the configured checkpoint; has to be picklable.
        progress: called with photos done and photos in all.

    Raises:
        ConfigurationError: if there is no such source or checkpoint, or the source has no photos.
        StopError: if the disk is full; what is done stays.
        ShardError: if the store cannot be written.
    """
    started = time.monotonic()
    photos = list_photos(config.source, name=config.source_name)
    model = promised_model(config.checkpoint, segmenter)
    store = EmbeddingStore(config.out, model.model_id)
    store.tidy()
    there = store.ids()
    pending = [photo for photo in photos if photo.image_id not in there]
    counter = _Counter(len(photos), len(photos) - len(pending), progress or (lambda *_: None))
    if pending:
        own = CheckpointSegmenter(
            config.checkpoint, config.device, config.threads or usable_cores()
        )
        recipe = EmbedRecipe(config.out, model.model_id, config.limits, segmenter or own)
        with linked(counter), beam.Pipeline(options=PipelineOptions(list(IN_MEMORY))) as pipeline:
            _ = (
                pipeline
                | "Photos" >> beam.Create(_batches(pending), reshuffle=False)
                | EmbedPhotos(recipe)
            )
    if counter.error is not None:
        raise counter.error
    return EmbedSummary(
        photos=len(photos),
        there_before=len(photos) - len(pending),
        embedded=counter.embedded,
        failures=dict(counter.failures),
        failed=tuple(counter.named),
        model_id=model.model_id,
        seconds=round(time.monotonic() - started, 3),
    )


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
                    if isinstance(link, _Counter):
                        link.name(failed)
                    yield failed
        except MaskEngineError as error:
            if not link.failed(error):
                raise


def _embed(
    photo: ImageRef,
    load: Callable[[], Photo],
    segmenter: PromptableSegmenter,
    store: EmbeddingStore,
) -> FailedPhoto | None:
    """Embeds one photo. The border of one photo: what is wrong with it stops nothing else."""
    try:
        loaded = load()
        embedding = segmenter.embed(loaded.pixels_HWC)
    except RecordError as error:
        return FailedPhoto(photo.path, error.kind, str(error))
    except Exception as error:  # noqa: BLE001
        return FailedPhoto(photo.path, "internal", f"{type(error).__name__}: {error}")
    store.write(photo.image_id, StoredEmbedding(embedding.to_bytes(), loaded.sha256))
    return None


def _read_ahead(
    batch: Batch, limits: PhotoLimits
) -> Iterator[tuple[ImageRef, Callable[[], Photo]]]:
    """Each photo with what gives or raises its pixels; the next ones are being read meanwhile."""
    loading: deque[tuple[ImageRef, Future[Photo]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        for photo in batch:
            loading.append((photo, reader.submit(_load, photo, limits)))
            if len(loading) > _READ_AHEAD:
                first, future = loading.popleft()
                yield first, future.result
        for first, future in loading:
            yield first, future.result


def _load(photo: ImageRef, limits: PhotoLimits) -> Photo:
    return decode_photo(read_photo(photo.uri, limits), limits)


def _batches(photos: Sequence[ImageRef]) -> list[Batch]:
    return [
        tuple(photos[start : start + BATCH_PHOTOS]) for start in range(0, len(photos), BATCH_PHOTOS)
    ]


@dataclass
class _Counter(NobodyListens):
    """This process's link: counts, tells how far it is, and remembers what stops the run."""

    photos: int
    there_before: int
    tell: Tell
    embedded: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    named: list[FailedPhoto] = field(default_factory=list)
    error: MaskEngineError | None = None

    def image_begun(self, path: str) -> None:
        """Nothing is begun any more once the run must stop."""
        if self.error is not None:
            raise StopError(f"{path}: not begun")

    def image_done(self, done: ImageDone) -> None:
        """Counts a photo."""
        if done.error is None:
            self.embedded += 1
        else:
            self.failures[done.error] += 1
        so_far = self.there_before + self.embedded + self.failures.total()
        self.tell(so_far, self.photos)

    def name(self, failed: FailedPhoto) -> None:
        """Keeps the first failures by name."""
        if len(self.named) < _MOST_FAILURES_NAMED:
            self.named.append(failed)

    def failed(self, error: MaskEngineError) -> bool:
        """Remembers the first error."""
        self.error = self.error or error
        return True

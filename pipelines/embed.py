"""Embeddings of a source's photos, made ahead of the people who will click on them.

What is in the store is done, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pydantic import BaseModel, ConfigDict, Field

from model.errors import MaskEngineError, StopError
from pipelines.beam_pipeline import IN_MEMORY
from pipelines.embed_photos import EmbedPhotos, EmbedRecipe, FailedPhoto, batches_of
from pipelines.embedding_store import EmbeddingStore, same_file
from pipelines.manifest import usable_cores
from pipelines.promised_model import CheckpointSegmenter, promised_model
from pipelines.reading import stamp_of
from pipelines.shard_work import SegmenterFactory
from pipelines.sources import list_photos
from pipelines.work_link import ImageDone, NobodyListens, linked
from stages.photos import PhotoLimits
from stages.records import ImageRef

# Enough to see what is wrong; all are counted.
_MOST_FAILURES_NAMED: Final = 20
# Files asked at once whether they are still those that were embedded: far stores take their time.
_LOOKING: Final = 16

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
    pending = _pending(photos, store)
    counter = _Counter(len(photos), len(photos) - len(pending), progress or (lambda *_: None))
    if pending:
        threads = config.threads or usable_cores()
        own = CheckpointSegmenter(config.checkpoint, config.device, threads)
        recipe = EmbedRecipe(config.out, model.model_id, config.limits, segmenter or own)
        _embed_here(pending, recipe, counter)
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


def _pending(photos: list[ImageRef], store: EmbeddingStore) -> list[ImageRef]:
    """Photos without an embedding, and those that were replaced since they got theirs."""
    there = store.ids()

    def is_missing(photo: ImageRef) -> bool:
        if photo.image_id not in there:
            return True
        return not same_file(store.stamp(photo.image_id), stamp_of(photo.uri))

    with ThreadPoolExecutor(_LOOKING, thread_name_prefix="look") as pool:
        missing = pool.map(is_missing, photos)
        return [photo for photo, is_new in zip(photos, missing, strict=True) if is_new]


def _embed_here(pending: list[ImageRef], recipe: EmbedRecipe, counter: _Counter) -> None:
    with linked(counter), beam.Pipeline(options=PipelineOptions(list(IN_MEMORY))) as pipeline:
        _ = (
            pipeline
            | "Photos" >> beam.Create(batches_of(pending), reshuffle=False)
            | EmbedPhotos(recipe)
        )


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

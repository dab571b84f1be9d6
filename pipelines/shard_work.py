"""One shard's work, photo by photo: read ahead, run the model, encode behind, write whole.

One photo is decoded ahead and one row group is encoded behind, whatever the shard's size, so
memory is bounded by the photos' own pixels.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from threadpoolctl import threadpool_limits

from model.errors import CheckpointError, ShardError
from model.segmenter import PromptableSegmenter
from pipelines.image_work import ImageRecipe, LoadedPhoto, load_photo, make_row
from pipelines.plan import PlannedImage, read_planned_shard
from pipelines.run_folder import shard_name
from pipelines.shards import write_rows
from pipelines.sidecar import ShardStats, Tally
from pipelines.storage import Folder
from pipelines.work_link import ImageDone, WorkLink
from stages.records import ImageRow

READ_AHEAD: Final = 1

# Called once in each worker process; has to be picklable: a function of a module, or a dataclass.
SegmenterFactory = Callable[[], PromptableSegmenter]


@dataclass(frozen=True)
class ShardRecipe:
    """All that a worker needs to make any shard of a run; small, because it is pickled.

    Attributes:
        run: the run's folder.
        totals: name the shards' files (`run_folder.shard_name`).
        configuration_digest: part of each file's metadata.
        image: how photos become rows.
        segmenter: gives the model.
        model_id: the model that was promised; another one is refused.
        workers, threads: noted in the sidecars.
    """

    run: Folder
    totals: tuple[int, ...]
    configuration_digest: str
    image: ImageRecipe
    segmenter: SegmenterFactory
    model_id: str
    workers: int = 1
    threads: int = 1

    def load_segmenter(self) -> PromptableSegmenter:
        """The model.

        Raises:
            CheckpointError: if it is not the one that the run was begun with.
        """
        segmenter = self.segmenter()
        if segmenter.model_id != self.model_id:
            raise CheckpointError(
                f"the checkpoint's weights are {segmenter.model_id}, but this run was begun with "
                f"{self.model_id}. Its masks would name the wrong model; nothing was made. Put "
                "the checkpoint back, or begin a new run."
            )
        return segmenter


def make_shard(
    shard: int, recipe: ShardRecipe, segmenter: PromptableSegmenter, link: WorkLink
) -> ShardStats:
    """Makes one shard: its file and its sidecar.

    The sidecar comes first: a shard that is there is done, so nothing may be missing then.

    Raises:
        StopError: if the run must stop.
        ShardError: if this shard cannot be written, or does not hold what was planned.
    """
    started = time.perf_counter()
    planned = read_planned_shard(recipe.run, shard)
    tally = Tally()
    with (
        # numpy's own threads: sums in another order are other sums, and idle threads that wait
        # actively would fight with the other workers'.
        threadpool_limits(limits=recipe.threads),
        recipe.run.writing(shard_name(shard, recipe.totals)) as file,
    ):
        written = write_rows(
            file,
            _rows(planned, recipe.image, segmenter, tally, link),
            configuration_digest=recipe.configuration_digest,
            with_images=recipe.image.embed_images,
        )
        tally.spend("write", written.encode_seconds)
        _check_conservation(shard, len(planned), written.rows)
        stats = tally.stats(
            shard,
            wall_seconds=time.perf_counter() - started,
            workers=recipe.workers,
            threads=recipe.threads,
        )
        stats.write(recipe.run)
    link.shard_done(shard)
    return stats


def _rows(
    planned: Sequence[PlannedImage],
    recipe: ImageRecipe,
    segmenter: PromptableSegmenter,
    tally: Tally,
    link: WorkLink,
) -> Iterator[ImageRow]:
    for image, load in _read_ahead(planned, recipe):
        link.image_begun(image.ref.path)
        row, seconds = make_row(image, load, segmenter, recipe)
        del load  # it holds the pixels, and the photo after the next one is read from here on
        tally.add(row)
        for step, spent in seconds.items():
            tally.spend(step, spent)
        link.image_done(ImageDone(len(row.masks), row.error.type if row.error else None))
        yield row


def _read_ahead(
    planned: Sequence[PlannedImage], recipe: ImageRecipe
) -> Iterator[tuple[PlannedImage, Callable[[], LoadedPhoto]]]:
    """Each photo with what gives or raises its pixels; the next ones are being read meanwhile."""
    loading: deque[tuple[PlannedImage, Future[LoadedPhoto]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        try:
            for image in planned:
                loading.append((image, reader.submit(load_photo, image, recipe)))
                if len(loading) > READ_AHEAD:
                    yield _taken(loading)
            while loading:
                yield _taken(loading)
        finally:
            reader.shutdown(wait=False, cancel_futures=True)


def _taken(
    loading: deque[tuple[PlannedImage, Future[LoadedPhoto]]],
) -> tuple[PlannedImage, Callable[[], LoadedPhoto]]:
    image, future = loading.popleft()
    return image, future.result


def _check_conservation(shard: int, planned: int, written: int) -> None:
    if planned != written:
        raise ShardError(
            f"shard {shard} would hold {written} rows for {planned} planned photos. Every photo "
            "has to be one row, so it was not written; this is a defect of mask-engine."
        )

"""Rows from somewhere else, written as a run like any other: planned, atomic, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.plan import PlannedImage, read_planned_shard
from pipelines.planning import PlannedRun, RunRequest, plan_run
from pipelines.progress import ProgressCallback, ignore_progress, progress_of
from pipelines.run_folder import clear_leftovers, shard_name
from pipelines.shards import write_rows
from pipelines.sidecar import Tally
from pipelines.summary import Summary, write_summary
from pipelines.work_link import ImageDone
from stages.records import ImageRef, ImageRow

RowOf = Callable[[ImageRef], ImageRow]


def write_imported_run(
    out: str,
    refs: Sequence[ImageRef],
    row_of: RowOf,
    *,
    source: str,
    configuration: Mapping[str, Any],
    embed_images: bool = False,
    shard_size: int | None = None,
    append: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> Summary:
    """Writes a run whose rows a function gives, in this process.

    Args:
        out: address of the run's folder.
        refs: the photos, at least one, sorted by path.
        row_of: gives the row of a photo, deterministically; what is wrong with one photo has to
            be in its row as its error.
        source: where the rows come from.
        configuration: everything that changes the rows, such as the format and its version.
        embed_images: whether the rows carry the photos.
        shard_size: rows a shard; from their number if unset.
        append: whether photos that an old run does not have are added to it; one that it has and
            that is not among these stays. Else a run with other photos is refused.
        progress: called after every row.

    Raises:
        ConfigurationError: if the folder is foreign or unwritable, or holds another run.
        StopError: if the disk is full.
        ShardError: if a shard could not be written.
    """
    request = RunRequest(
        source,
        refs,
        out,
        configuration,
        embed_images=embed_images,
        shard_size=shard_size,
        append=append,
        has_options=False,
    )
    planned = plan_run(request)
    now = progress_of(planned)
    for shard in planned.pending:
        for done in _write_shard(planned, shard, row_of):
            now = now.with_image(done)
            progress(now)
    summary = write_summary(planned.run, planned.manifest, planned.plan, None)
    clear_leftovers(planned.run)
    return summary


def _write_shard(planned: PlannedRun, shard: int, row_of: RowOf) -> list[ImageDone]:
    started = time.perf_counter()
    tally, run, manifest = Tally(), planned.run, planned.manifest
    counted: list[ImageDone] = []

    def rows(images: Sequence[PlannedImage]) -> Iterator[ImageRow]:
        for image in images:
            row = row_of(image.ref)
            tally.add(row)
            counted.append(ImageDone(len(row.masks), row.error.type if row.error else None))
            yield row

    with run.writing(shard_name(shard, manifest.shard_totals)) as file:
        written = write_rows(
            file,
            rows(read_planned_shard(run, shard)),
            configuration_digest=manifest.configuration_digest,
            with_images=manifest.embed_images,
        )
        tally.spend("write", written.encode_seconds)
        wall_seconds = time.perf_counter() - started
        tally.stats(shard, wall_seconds=wall_seconds, workers=1, threads=1).write(run)
    return counted

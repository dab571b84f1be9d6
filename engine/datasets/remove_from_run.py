"""Takes one photo out of one run or data set: shards, kept answers, reviews, pictures, numbers.

The run's list of removals comes first, so that a call that was killed is gone on with by the next
one: it looks at every file again, and changes those that still hold the photo.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from engine.assist.answer_content import Content
from engine.datasets.description import renew_description
from pipelines.answers import blank_answers
from pipelines.manifest import Manifest, read_manifest, timestamp
from pipelines.parquet_reading import ParquetReader, read_table
from pipelines.plan import shards_of
from pipelines.removals import REMOVED, Removal, is_removed, note_removal, read_removals
from pipelines.reviews import forget_reviews
from pipelines.run_folder import SUMMARY_FILE, shard_name
from pipelines.shards import write_shard
from pipelines.sidecar import ShardStats, Tally, read_stats
from pipelines.storage import Folder
from pipelines.summary import renew_summary
from stages.records import ErrorRecord, ImageRow
from stages.schema import rows_from_table

REPORT_FILE: Final = "report.html"
# What `mask-engine annotate` keeps of a photo.
WORK_OF_PHOTO: Final = "work/{image_id}"


def planned_in(run: Folder, image_id: str) -> list[int]:
    """Shards of a run that a photo has a row in, or will have one."""
    manifest = read_manifest(run)
    if manifest is None:
        return []
    return [shard for shard in shards_of(run, image_id) if shard < manifest.shard_totals[-1]]


def remove_from_run(run: Folder, image_id: str, reason: str) -> int | None:
    """Masks that the photo had, or None where the run never had the photo. Safe to repeat.

    Raises:
        ConfigurationError: if the run's list of removals is damaged.
        StopError, ShardError: if a file cannot be written; the next call goes on.
    """
    manifest, planned = read_manifest(run), planned_in(run, image_id)
    if manifest is None or not planned:
        return None
    done = {
        shard: name
        for shard in planned
        if run.exists(name := shard_name(shard, manifest.shard_totals))
    }
    before = read_removals(run).get(image_id)
    if before is None:
        masks = sum(_masks(run, name, image_id) for name in done.values())
        before = Removal(image_id, masks, reason, timestamp())
        note_removal(run, before)
    _forget(run, image_id, before)
    for shard, name in done.items():
        _rewrite(run, manifest, shard, name, before)
    if run.exists(SUMMARY_FILE):
        renew_summary(run, manifest.shard_totals)
    renew_description(run)
    return before.masks


def _forget(run: Folder, image_id: str, removal: Removal) -> None:
    """Everything that a shard could be made from again, and pictures of the photo."""
    blank_answers(run, image_id, Content(problem=(REMOVED, _message(removal))).to_text())
    forget_reviews(run, image_id)
    run.remove(WORK_OF_PHOTO.format(image_id=image_id))
    run.remove(REPORT_FILE)


def _masks(run: Folder, name: str, image_id: str) -> int:
    with run.open(name) as file:
        found = read_table(file, columns=["masks"], where=("image_id", image_id))
    return sum(len(masks) for masks in found["masks"].to_pylist())


def _rewrite(run: Folder, manifest: Manifest, shard: int, name: str, removal: Removal) -> None:
    with run.open(name) as file, ParquetReader(file) as parquet:
        rows = list(rows_from_table(parquet.read()))
    if not any(_is_there(row, removal.image_id) for row in rows):
        return
    kept = [_without(row, removal) if _is_there(row, removal.image_id) else row for row in rows]
    # The sidecar first: a kill in between leaves a shard that is rewritten the next time.
    _sidecar(read_stats(run, shard), kept).write(run)
    write_shard(
        run,
        name,
        kept,
        configuration_digest=manifest.configuration_digest,
        with_images=manifest.embed_images,
    )


def _is_there(row: ImageRow, image_id: str) -> bool:
    return row.ref.image_id == image_id and not is_removed(row)


def _without(row: ImageRow, removal: Removal) -> ImageRow:
    dropped = {**row.dropped, REMOVED: len(row.masks)} if row.masks else dict(row.dropped)
    return replace(
        row,
        image=None,
        masks=(),
        dropped=dropped,
        exhaustive=None,
        error=ErrorRecord(REMOVED, _message(removal)),
    )


def _message(removal: Removal) -> str:
    why = f": {removal.reason}" if removal.reason else ""
    return f"taken out of the data set{why}"


def _sidecar(before: ShardStats, rows: list[ImageRow]) -> ShardStats:
    tally = Tally()
    for row in rows:
        tally.add(row)
    now = tally.stats(before.shard, wall_seconds=before.wall_seconds, workers=1, threads=1)
    return before.model_copy(
        update={"masks": now.masks, "failed": now.failed, "dropped": now.dropped}
    )

# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""The union of several runs as a run of its own: one row a photo, made where it is written.

Masks are read, joined and written inside one fused step, a shard at a time.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from model.errors import MaskEngineError, RecordError
from pipelines.beam_pipeline import IN_MEMORY, ClaimShards
from pipelines.joins import JoinedRun, JoinRecipe, JoinWork, RowPlace
from pipelines.parquet_reading import ParquetReader
from pipelines.plan import read_planned_shard
from pipelines.reading import read_photo
from pipelines.run_folder import SHARDS, shard_name
from pipelines.shards import write_rows
from pipelines.sidecar import ShardStats, Tally
from pipelines.storage import Folder
from pipelines.work_link import ImageDone, WorkLink, current_link, linked
from stages.joining import PHOTO_CHANGED, join_rows
from stages.records import ErrorRecord, ImageRef, ImageRow
from stages.schema import rows_from_table
from stages.upright import upright_file

GROUPS_IN_MEMORY: Final = 16
_CHANGED: Final = (
    "the photo's file is another than the one that its masks were made for, so they do not fit it: "
    "bring that file back, or mask the photo anew"
)


def run_joined(work: JoinWork, link: WorkLink) -> None:
    """Makes the shards that a link hands out, in this process and in memory."""
    options = PipelineOptions(list(IN_MEMORY))
    with linked(link), beam.Pipeline(options=options) as pipeline:
        pipeline | ClaimShards() | "Join shards" >> beam.ParDo(_JoinShard(work))


class _JoinShard(beam.DoFn):
    """Makes the shard of each number."""

    def __init__(self, work: JoinWork) -> None:
        self._work = work

    def process(self, shard: int) -> Iterator[ShardStats]:
        link = current_link()
        try:
            yield _join_shard(shard, self._work, link)
        except MaskEngineError as error:
            if not link.failed(error):
                raise


def _join_shard(shard: int, work: JoinWork, link: WorkLink) -> ShardStats:
    started = time.perf_counter()
    tally, rows_at = Tally(), _Rows(work.recipe.runs)

    def rows() -> Iterator[ImageRow]:
        for image in read_planned_shard(work.run, shard):
            places = work.places.get(image.ref.image_id)
            row = _joined(places, rows_at, work.recipe) if places else _gone(image.ref)
            tally.add(row)
            link.image_done(ImageDone(len(row.masks), row.error.type if row.error else None))
            yield row

    with work.run.writing(shard_name(shard, work.totals)) as file:
        write_rows(
            file,
            rows(),
            configuration_digest=work.configuration_digest,
            with_images=work.recipe.embed_images,
        )
        wall_seconds = time.perf_counter() - started
        stats = tally.stats(shard, wall_seconds=wall_seconds, workers=1, threads=1)
        stats.write(work.run)
    link.shard_done(shard)
    return stats


def _joined(places: Sequence[RowPlace], rows_at: "_Rows", recipe: JoinRecipe) -> ImageRow:
    rows = [
        replace(rows_at.row(place), round=recipe.runs[place.run].round, image=None)
        for place in places
    ]
    row = join_rows(rows, recipe.parameters, recipe.rejected)
    if not recipe.embed_images or row.error is not None:
        return row
    try:
        data = read_photo(row.ref.uri, recipe.limits)
        if hashlib.sha256(data).hexdigest() != row.sha256:
            return _without_masks(row, PHOTO_CHANGED, ErrorRecord(PHOTO_CHANGED, _CHANGED))
        return replace(row, image=upright_file(data, recipe.limits))
    except RecordError as error:
        return _without_masks(row, "photo_is_gone", ErrorRecord(error.kind, str(error)))


def _gone(ref: ImageRef) -> ImageRow:
    """A photo that was planned when the join began and is in none of its runs now."""
    message = "no run that is joined may give masks of this photo any more"
    return ImageRow(ref, "import", error=ErrorRecord("not_joined", message))


def _without_masks(row: ImageRow, reason: str, error: ErrorRecord) -> ImageRow:
    dropped = {**row.dropped, reason: row.dropped.get(reason, 0) + len(row.masks)}
    return replace(row, masks=(), dropped=dropped, error=error)


class _Rows:
    """Rows by their places; a few row groups stay in memory, as neighbours are asked for next."""

    def __init__(self, runs: Sequence[JoinedRun]) -> None:
        self._runs = runs
        self._groups: OrderedDict[tuple[int, str, int], list[ImageRow]] = OrderedDict()

    def row(self, place: RowPlace) -> ImageRow:
        key = place.run, place.shard, place.group
        if key not in self._groups:
            self._groups[key] = self._read(*key)
            if len(self._groups) > GROUPS_IN_MEMORY:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key][place.row]

    def _read(self, run: int, shard: str, group: int) -> list[ImageRow]:
        folder = Folder(self._runs[run].address)
        with folder.open(f"{SHARDS}/{shard}") as file, ParquetReader(file) as parquet:
            names = [name for name in parquet.names if name != "image"]
            return list(rows_from_table(parquet.read_group(group, columns=names)))

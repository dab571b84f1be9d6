# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""The Beam side of collecting: shard numbers in, answers made into rows, shard files out."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from model.errors import MaskEngineError
from pipelines.answers import Answer, read_answers
from pipelines.beam_pipeline import IN_MEMORY, ClaimShards
from pipelines.plan import read_planned_shard
from pipelines.run_folder import shard_name
from pipelines.shards import write_rows
from pipelines.sidecar import ShardStats, Tally
from pipelines.storage import Folder
from pipelines.work_link import ImageDone, WorkLink, current_link, linked
from stages.records import ImageRow


@dataclass(frozen=True)
class AnswersRecipe:
    """All that is needed to make any shard of a run that people fill; pickled.

    Attributes:
        run: the run's folder.
        totals: name the shards' files (`run_folder.shard_name`).
        configuration_digest: part of each file's metadata.
        row_of: makes an answer a row.
    """

    run: Folder
    totals: tuple[int, ...]
    configuration_digest: str
    row_of: Callable[[Answer], ImageRow]


class MakeAnsweredShard(beam.DoFn):
    """Makes the shard of each number from the answers that are kept for it."""

    def __init__(self, recipe: AnswersRecipe) -> None:
        self._recipe = recipe

    def process(self, shard: int) -> Iterator[ShardStats]:
        """Makes one shard and yields its sidecar's content."""
        link = current_link()
        try:
            yield make_answered_shard(shard, self._recipe, link)
        except MaskEngineError as error:
            if not link.failed(error):
                raise


def run_answered(recipe: AnswersRecipe, link: WorkLink) -> None:
    """Makes the shards that a link hands out, in this process and in memory."""
    with linked(link), beam.Pipeline(options=PipelineOptions(list(IN_MEMORY))) as pipeline:
        pipeline | ClaimShards() | "Make shards" >> beam.ParDo(MakeAnsweredShard(recipe))


def make_answered_shard(shard: int, recipe: AnswersRecipe, link: WorkLink) -> ShardStats:
    """Makes one shard: its sidecar, then its file, as `shard_work.make_shard` does.

    Raises:
        StopError, ShardError: if it cannot be written.
    """
    started = time.perf_counter()
    tally = Tally()

    def rows() -> Iterator[ImageRow]:
        answers = read_answers(recipe.run, shard)
        for image in read_planned_shard(recipe.run, shard):
            row = recipe.row_of(answers[image.ref.image_id])
            tally.add(row)
            link.image_done(ImageDone(len(row.masks), row.error.type if row.error else None))
            yield row

    with recipe.run.writing(shard_name(shard, recipe.totals)) as file:
        write_rows(
            file, rows(), configuration_digest=recipe.configuration_digest, with_images=False
        )
        wall_seconds = time.perf_counter() - started
        stats = tally.stats(shard, wall_seconds=wall_seconds, workers=1, threads=1)
        stats.write(recipe.run)
    link.shard_done(shard)
    return stats

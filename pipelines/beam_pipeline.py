# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""The Beam side of a run: shard numbers in, shard files made, sidecars out. Wiring only.

An element is a shard's number; photos, masks and logits stay inside one fused step, because
whatever passes a shuffle is held in memory several times over.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PBegin, PCollection

from model.errors import MaskEngineError, StoppedByUserError
from pipelines.shard_work import ShardRecipe, make_shard
from pipelines.shared_model import SharedModel
from pipelines.sidecar import ShardStats
from pipelines.work_link import WorkLink, current_link, linked

# The one local mode that opens no port; Beam's default would try to download another runner.
IN_MEMORY: Final = ("--runner=FnApiRunner", "--direct_running_mode=in_memory")


class MakeShard(beam.DoFn):
    """Makes the shard of each number; the model is loaded once in a process."""

    def __init__(self, recipe: ShardRecipe) -> None:
        self._recipe = recipe
        self._model = SharedModel(recipe.load_segmenter)

    def setup(self) -> None:
        """Loads the model, or shares the one that another thread has loaded."""
        try:
            self._model.load()
        except MaskEngineError as error:
            if not current_link().failed(error):
                raise

    def process(self, shard: int) -> Iterator[ShardStats]:
        """Makes one shard and yields its sidecar's content."""
        link = current_link()
        try:
            yield make_shard(shard, self._recipe, self._model.segmenter, link)
        except MaskEngineError as error:
            if not link.failed(error):
                raise
        except KeyboardInterrupt:
            # Beam would print a page of its own frames and raise a RuntimeError.
            if not link.failed(StoppedByUserError("stopped; run the same command again to go on")):
                raise


class MakeShards(beam.PTransform[PCollection[int], PCollection[ShardStats]]):
    """Shard numbers to shard files and their statistics."""

    def __init__(self, recipe: ShardRecipe) -> None:
        super().__init__()
        self._recipe = recipe

    def expand(self, shards: PCollection[int]) -> PCollection[ShardStats]:
        """Wires the one step."""
        return shards | "Make shards" >> beam.ParDo(MakeShard(self._recipe))


class ClaimShards(beam.PTransform[PBegin, PCollection[int]]):
    """Shard numbers as this process's link hands them out, one when the last one is made."""

    def expand(self, begin: PBegin) -> PCollection[int]:
        """Wires a single impulse that becomes every claim; no shuffle may stand behind it."""
        return begin | "Begin" >> beam.Impulse() | "Claim" >> beam.FlatMap(_claims)


def _claims(_impulse: bytes) -> Iterator[int]:
    while (shard := current_link().claim()) is not None:
        yield shard


def run_linked(recipe: ShardRecipe, link: WorkLink) -> None:
    """Makes the shards that a link hands out, in this process and in memory.

    What goes wrong is told to the link; `MaskEngineError` is not raised from here.
    """
    with linked(link), beam.Pipeline(options=PipelineOptions(list(IN_MEMORY))) as pipeline:
        pipeline | ClaimShards() | MakeShards(recipe)


def run_on(options: Sequence[str], recipe: ShardRecipe, shards: Sequence[int]) -> None:
    """Makes shards with Beam options of the user's own, such as another runner.

    Raises:
        MaskEngineError, RuntimeError: as the runner reports what failed.
    """
    flags = list(options)
    if not any(flag.startswith("--runner") for flag in flags):
        flags = [*IN_MEMORY, *flags]
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        (
            pipeline
            | "Pending shards" >> beam.Create(list(shards))
            # Only numbers pass this shuffle; it lets a runner spread the shards over machines.
            | "Spread" >> beam.Reshuffle()
            | MakeShards(recipe)
        )

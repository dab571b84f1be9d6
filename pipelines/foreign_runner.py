"""A run on a Beam runner of the user's choice: the shards that appear are its only progress."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from model.errors import MaskEngineError, StopError
from pipelines.coordinator import Progress, ProgressCallback
from pipelines.planning import PlannedRun
from pipelines.run_folder import done_shards
from pipelines.shard_work import ShardRecipe
from pipelines.totals import add_up
from pipelines.workers import without_import_noise

SECONDS_BETWEEN_LOOKS = 2.0


def make_shards_on_runner(
    options: Sequence[str],
    recipe: ShardRecipe,
    planned: PlannedRun,
    begun: Progress,
    progress: ProgressCallback,
) -> None:
    """Makes all pending shards with Beam options of the user's own.

    Raises:
        MaskEngineError: what stopped the work, in the runner's words where it has its own.
    """
    with without_import_noise():
        from pipelines.beam_pipeline import run_on
    ended = threading.Event()
    look = threading.Thread(target=_watch, args=(planned, begun, progress, ended), daemon=True)
    look.start()
    try:
        run_on(options, recipe, planned.pending)
    except MaskEngineError:
        raise
    except RuntimeError as error:
        last = next(iter(str(error).strip().splitlines()[::-1]), "without a word")
        raise StopError(
            f"{planned.run.address}: the Beam runner failed ({last.strip()}). Shards that are done "
            "stay; its own messages stand above. Run the same command again to go on."
        ) from error
    finally:
        ended.set()
        look.join()


def _watch(
    planned: PlannedRun, begun: Progress, progress: ProgressCallback, ended: threading.Event
) -> None:
    seen = begun.shards_done
    while True:
        last_look = ended.wait(SECONDS_BETWEEN_LOOKS)
        done = done_shards(planned.run, planned.manifest.shard_totals)
        if len(done) != seen:
            seen = len(done)
            totals = add_up(planned.run, done, planned.manifest.shard_totals)
            progress(
                replace(
                    begun,
                    rows_done=totals.rows,
                    shards_done=seen,
                    masks=totals.masks,
                    failures=totals.failures,
                )
            )
        if last_look:
            return

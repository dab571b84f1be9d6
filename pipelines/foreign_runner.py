"""A run on a Beam runner of the user's choice: the shards that appear are its only progress."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from model.errors import MaskEngineError, StopError
from pipelines.planning import PlannedRun
from pipelines.progress import ProgressCallback, progress_of
from pipelines.shard_work import ShardRecipe
from pipelines.workers import without_import_noise

SECONDS_BETWEEN_LOOKS = 2.0


def make_shards_on_runner(
    options: Sequence[str],
    recipe: ShardRecipe,
    planned: PlannedRun,
    progress: ProgressCallback,
) -> None:
    """Makes all pending shards with Beam options of the user's own.

    Raises:
        MaskEngineError: what stopped the work, in the runner's words where it has its own.
    """
    with without_import_noise():
        from pipelines.beam_pipeline import run_on
    ended = threading.Event()
    look = threading.Thread(target=_watch, args=(planned, progress, ended), daemon=True)
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


def _watch(planned: PlannedRun, progress: ProgressCallback, ended: threading.Event) -> None:
    seen = -1
    while True:
        last_look = ended.wait(SECONDS_BETWEEN_LOOKS)
        now = progress_of(planned)
        if now.shards_done != seen:
            seen = now.shards_done
            progress(now)
        if last_look:
            return

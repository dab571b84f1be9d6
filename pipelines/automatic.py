"""A run of the fully automatic stage, from a configuration to a finished folder.

`run_automatic` is the whole of it: what is decided before any work is in `planning`, how work is
spread in `workers` and `beam_pipeline`, and what one shard takes in `shard_work`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from model.errors import ConfigurationError, StopError
from pipelines.coordinator import Coordinator, refuse_failures
from pipelines.foreign_runner import make_shards_on_runner
from pipelines.image_work import ImageRecipe
from pipelines.parallelism import AUTO
from pipelines.plan import default_shard_size
from pipelines.planning import PlannedRun, RunRequest, plan_run
from pipelines.progress import Progress, ProgressCallback, ignore_progress, progress_of
from pipelines.promised_model import CheckpointSegmenter, promised_model
from pipelines.run_config import AutomaticRun
from pipelines.run_folder import clear_leftovers
from pipelines.shard_work import SegmenterFactory, ShardRecipe
from pipelines.sources import list_photos, source_address
from pipelines.summary import Summary, write_summary
from pipelines.workers import make_shards_here, make_shards_in_workers
from stages.parameters import AutomaticParameters
from stages.records import ImageRef

__all__ = ["AutomaticRun", "Progress", "SegmenterFactory", "Summary", "run_automatic"]


def run_automatic(
    config: AutomaticRun,
    *,
    photos: Sequence[ImageRef] | None = None,
    segmenter: SegmenterFactory | None = None,
    progress: ProgressCallback = ignore_progress,
) -> Summary:
    """Runs, or goes on with, the fully automatic stage.

    With several workers, a script has to call it under `if __name__ == "__main__":`, because
    worker processes import the script.

    Args:
        config: the run. Where its folder holds a run already, what is done there stays.
        photos: some of the source's photos, sorted by path; all of them if None.
        segmenter: gives the model in each worker, in place of the configured checkpoint; has to
            be picklable where workers are processes. It is called once here to learn the id.
        progress: called in this process after every photo and every shard.

    Raises:
        ConfigurationError: before any work, if something asked for cannot be done.
        StopError: if the run had to stop: no disk space, too many photos failed, a worker lost.
            What is done stays; calling again goes on.
        ShardError: if a shard could not be written; calling again goes on.
    """
    if config.dry_run:
        raise ConfigurationError(
            "a dry run makes nothing, so it has no summary: call pipelines.estimate.estimate_run"
        )
    config.refuse_contradictions()
    model = promised_model(config.checkpoint, segmenter)
    parameters, thresholds = config.resolved_parameters(model.recommended)
    configuration = config.masks_depend_on(parameters, model.model_id)
    planned = plan_run(_request(config, configuration, photos))
    if planned.pending:
        recipe = _recipe(config, planned, parameters, segmenter)
        _make_shards(config, planned, recipe, progress)
    summary = write_summary(planned.run, planned.manifest, planned.plan, thresholds)
    clear_leftovers(planned.run)
    refuse_failures(summary.failures, summary.images, config.max_failed_share)
    return summary


def _request(
    config: AutomaticRun, configuration: Mapping[str, Any], photos: Sequence[ImageRef] | None
) -> RunRequest:
    if photos is None:
        photos = list_photos(config.source, name=config.source_name)
    shard_size = config.shard_size or default_shard_size(len(photos))
    return RunRequest(
        source=source_address(config.source),
        refs=photos,
        out=config.out,
        configuration=configuration,
        checkpoint=config.checkpoint,
        device=config.device,
        embed_images=config.embed_images,
        threads=config.own_threads(ceil(len(photos) / shard_size)),
        shard_size=config.shard_size,
        threads_asked=config.threads,
        append=config.append,
        retry_failed=config.retry_failed,
    )


def _recipe(
    config: AutomaticRun,
    planned: PlannedRun,
    parameters: AutomaticParameters,
    segmenter: SegmenterFactory | None,
) -> ShardRecipe:
    manifest = planned.manifest
    workers = config.own_workers(manifest.threads, len(planned.pending))
    own = CheckpointSegmenter(config.checkpoint, config.device, manifest.threads, config.encoder)
    return ShardRecipe(
        run=planned.run,
        totals=manifest.shard_totals,
        configuration_digest=manifest.configuration_digest,
        image=ImageRecipe(
            parameters, config.limits, config.embed_images, config.round, manifest.threads
        ),
        segmenter=segmenter or own,
        model_id=manifest.configuration["model_id"],
        workers=min(workers, len(planned.pending)),
        threads=manifest.threads,
    )


def _make_shards(
    config: AutomaticRun, planned: PlannedRun, recipe: ShardRecipe, progress: ProgressCallback
) -> None:
    begun = progress_of(planned)
    progress(begun)
    if config.beam_options:
        make_shards_on_runner(config.beam_options, recipe, planned, progress)
        return
    coordinator = Coordinator(
        planned.pending, begun, max_failed_share=config.max_failed_share, on_progress=progress
    )
    if recipe.workers == 1 and config.workers in (1, AUTO):
        make_shards_here(recipe, coordinator)
    else:
        make_shards_in_workers(recipe, coordinator, recipe.workers)
    if coordinator.error is not None:
        raise coordinator.error
    if coordinator.progress.shards_done != planned.plan.shards:
        raise StopError(
            f"{planned.run.address}: the workers ended with "
            f"{planned.plan.shards - coordinator.progress.shards_done} shards not made. What is "
            "done stays; run the same command again to go on."
        )

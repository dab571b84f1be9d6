"""Finished and unfinished runs made of rows, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.manifest import (
    Manifest,
    configuration_digest,
    hardware,
    timestamp,
    versions,
)
from pipelines.plan import Plan
from pipelines.run_folder import shard_path
from pipelines.shards import write_shard
from pipelines.sidecar import Tally
from pipelines.storage import Folder
from pipelines.summary import write_summary
from stages.presets import parameters_for, resolve_thresholds
from stages.records import ImageRow

CHECKPOINT = "starter"


def make_run(
    out: Path | str,
    rows: Sequence[ImageRow],
    *,
    shard_size: int = 2,
    shards_written: int | None = None,
    with_images: bool = False,
) -> str:
    """Writes a run; with fewer shards than planned it is one that was interrupted."""
    run = Folder(str(out))
    plan = Plan.empty().extended([row.ref for row in rows], shard_size=shard_size)
    configuration = {
        "stage": "automatic",
        "preset": "default",
        "parameters": parameters_for("default", {})[0].model_dump(mode="json"),
        "model_id": "d15c" * 4,
    }
    manifest = Manifest(
        source="/data/photos",
        source_name="photos",
        photos=plan.photos,
        rows=plan.rows,
        shard_size=shard_size,
        shard_totals=(plan.shards,),
        input_digest=plan.input_digest(),
        configuration=configuration,
        configuration_digest=configuration_digest(configuration),
        checkpoint=CHECKPOINT,
        embed_images=with_images,
        threads=1,
        device="cpu",
        hardware=hardware(),
        versions=versions(),
        created=timestamp(),
    )
    plan.write(run)
    manifest.write(run)
    count = plan.shards if shards_written is None else shards_written
    for shard in range(count):
        part = rows[shard * shard_size : (shard + 1) * shard_size]
        _write(run, shard, plan.shards, part, manifest.configuration_digest, with_images)
    if count == plan.shards:
        write_summary(run, manifest, plan, resolve_thresholds("default", {}))
    return str(out)


def _write(
    run: Folder, shard: int, total: int, rows: Sequence[ImageRow], digest: str, with_images: bool
) -> None:
    tally = Tally()
    for row in rows:
        tally.add(row)
    tally.spend("embed", 0.5 * len(rows))
    tally.stats(shard, wall_seconds=1.0, workers=1, threads=1).write(run)
    write_shard(
        run,
        shard_path(shard, total),
        rows,
        configuration_digest=digest,
        with_images=with_images,
    )

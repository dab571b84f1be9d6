"""From what is asked to a run that may begin or go on: planned, checked, nothing mixed in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ConfigurationError
from pipelines.manifest import (
    Manifest,
    configuration_digest,
    hardware,
    read_manifest,
    refuse_changes,
    timestamp,
    versions,
)
from pipelines.parquet_reading import read_table
from pipelines.plan import Plan, default_shard_size, read_plan
from pipelines.removals import removed_ids
from pipelines.run_folder import SUMMARY_FILE, done_shards, prepare_folder, shard_name
from pipelines.storage import Folder
from stages.photos import PASSING_KINDS
from stages.records import ImageRef

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRequest:
    """What planning has to know of a run, whatever its stage.

    Attributes:
        source: address of the photos, written in full.
        refs: the photos, at least one, in the order they are planned.
        out: address of the run's folder.
        configuration: everything that changes masks.
        checkpoint, device: as the user named them.
        embed_images: whether shards hold the photos.
        threads: threads a worker of a new run.
        shard_size, threads_asked: None where the user did not say.
        append, retry_failed: what may be added to an old run.
        has_options: whether whoever asks can be told to use `--append` and `--out`.
    """

    source: str
    refs: Sequence[ImageRef]
    out: str
    configuration: Mapping[str, Any]
    checkpoint: str = ""
    device: str = "cpu"
    embed_images: bool = False
    threads: int = 1
    shard_size: int | None = None
    threads_asked: int | None = None
    append: bool = False
    retry_failed: bool = False
    has_options: bool = True


@dataclass(frozen=True)
class PlannedRun:
    """A run that may begin or go on.

    Attributes:
        run: its folder.
        manifest: as it stands there.
        plan: as it stands there.
        pending: shards to make, ascending.
    """

    run: Folder
    manifest: Manifest
    plan: Plan
    pending: tuple[int, ...]


def plan_run(request: RunRequest) -> PlannedRun:
    """Plans a new run, or checks that an old one goes on as it began.

    Raises:
        ConfigurationError: if the folder or a changed setting forbids it.
    """
    run = prepare_folder(request.out)
    begun = read_manifest(run)
    if begun is None:
        manifest, plan = _new_run(request)
    else:
        _refuse_other_run(run, begun, request)
        manifest, plan = _continued(run, begun, request)
    if manifest != begun:
        plan.write(run)
        manifest.write(run)
    done = set(done_shards(run, manifest.shard_totals))
    pending = tuple(shard for shard in range(plan.shards) if shard not in done)
    if pending:
        run.remove(SUMMARY_FILE)  # it says that a run is finished
    return PlannedRun(run, manifest, plan, pending)


def _new_run(request: RunRequest) -> tuple[Manifest, Plan]:
    shard_size = request.shard_size or default_shard_size(len(request.refs))
    plan = Plan.empty().extended(request.refs, shard_size=shard_size)
    manifest = Manifest(
        source=request.source,
        source_name=request.refs[0].source,
        photos=plan.photos,
        rows=plan.rows,
        shard_size=shard_size,
        shard_totals=(plan.shards,),
        input_digest=plan.input_digest(),
        configuration=dict(request.configuration),
        configuration_digest=configuration_digest(request.configuration),
        checkpoint=request.checkpoint,
        embed_images=request.embed_images,
        threads=request.threads,
        device=request.device,
        hardware=hardware(),
        versions=versions(),
        created=timestamp(),
    )
    return manifest, plan


def _refuse_other_run(run: Folder, begun: Manifest, request: RunRequest) -> None:
    now: dict[str, Any] = {
        "source": request.source,
        "source_name": request.refs[0].source,
        "configuration": dict(request.configuration),
        "embed_images": request.embed_images,
    }
    asked = {"shard_size": request.shard_size, "threads": request.threads_asked}
    now |= {name: value for name, value in asked.items() if value is not None}
    refuse_changes(run, begun, now)
    if request.device != begun.device:
        LOGGER.warning(
            "%s: begun on %s, goes on on %s: masks may differ in single pixels from one kind of "
            "device to another",
            run.address,
            begun.device,
            request.device,
        )


def _continued(run: Folder, begun: Manifest, request: RunRequest) -> tuple[Manifest, Plan]:
    # A run killed between its plan and its manifest may have planned more than it promised.
    plan = read_plan(run).first_shards(begun.shard_totals[-1])
    new = _new_photos(run, plan, request)
    totals = begun.shard_totals
    if new:
        plan = plan.extended(new, shard_size=begun.shard_size)
        totals = (*totals, plan.shards)
    if request.retry_failed:
        for revision, images in _to_retry(run, begun, plan).items():
            plan = plan.extended(images, shard_size=begun.shard_size, revision=revision)
            totals = (*totals, plan.shards)
    if totals == begun.shard_totals:
        return begun, plan
    changes = {
        "photos": plan.photos,
        "rows": plan.rows,
        "shard_totals": totals,
        "input_digest": plan.input_digest(),
    }
    return begun.model_copy(update=changes), plan


def _new_photos(run: Folder, plan: Plan, request: RunRequest) -> list[ImageRef]:
    """Photos to add; photos that are gone stay planned and become rows that say so."""
    planned = plan.image_ids()
    new = [ref for ref in request.refs if ref.image_id not in planned]
    if request.append:
        return new
    # Photos that were taken out are known to be gone: their rows say so.
    listed = {ref.image_id for ref in request.refs} | removed_ids(run)
    paths_by_id = zip(*(plan.table[name].to_pylist() for name in ("image_id", "path")), strict=True)
    gone_paths = sorted({path for image, path in paths_by_id if image not in listed})
    if not new and not gone_paths:
        return []
    changes = [
        f"{len(paths)} {what} ({', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''})"
        for what, paths in (("new", [ref.path for ref in new]), ("gone", gone_paths))
        if paths
    ]
    advice = (
        "Use --append to plan the new ones as further shards (photos that are gone become rows "
        "with that error), or give another --out."
        if request.has_options
        else "Give the run another folder, or the photos that it was begun with."
    )
    raise ConfigurationError(
        f"{run.address}: the photos are not those that this run was begun with: "
        f"{', '.join(changes)}. Mixed in silently they would make counts that nobody can check, "
        f"so nothing was started. {advice}"
    )


def _to_retry(run: Folder, begun: Manifest, plan: Plan) -> dict[int, list[ImageRef]]:
    """Photos whose latest row has an error that may pass, by the revision they get next."""
    kinds: dict[str, tuple[int, str | None]] = {}
    for shard in done_shards(run, begun.shard_totals):
        with run.open(shard_name(shard, begun.shard_totals)) as file:
            table = read_table(file, columns=["image_id", "revision", "error"])
        for row in table.to_pylist():
            kind = row["error"] and row["error"]["type"]
            if row["revision"] >= kinds.get(row["image_id"], (0, None))[0]:
                kinds[row["image_id"]] = (row["revision"], kind)
    wanted = [image for image, (_, kind) in kinds.items() if kind in PASSING_KINDS]
    retried: dict[int, list[ImageRef]] = {}
    for image in plan.select(wanted):
        if image.revision == kinds[image.ref.image_id][0]:  # else a later try is planned already
            retried.setdefault(image.revision + 1, []).append(image.ref)
    return dict(sorted(retried.items()))

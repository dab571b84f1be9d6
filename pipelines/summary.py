"""The summary of a finished run: written last, so a run that has one is complete."""

from __future__ import annotations

import dataclasses

from pydantic import BaseModel, ConfigDict

from model.errors import ConfigurationError, ShardError
from pipelines.manifest import Manifest, timestamp
from pipelines.plan import Plan
from pipelines.run_folder import SUMMARY_FILE
from pipelines.storage import Folder
from pipelines.totals import Totals, add_up
from stages.presets import ResolvedThresholds


class UsedThresholds(BaseModel):
    """What decided on keeping a mask, and why these values."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    predicted_iou: float
    stability: float
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, resolved: ResolvedThresholds | None) -> UsedThresholds | None:
        """As they were resolved, or None where no model proposed."""
        return None if resolved is None else cls(**dataclasses.asdict(resolved))


class Summary(BaseModel):
    """What a run gave and cost.

    Attributes:
        images: photos planned, each counted once; every one has a row.
        failures: photos that failed, by kind of error.
        proposals: masks that were proposed: kept and dropped.
        dropped: by reason.
        seconds: by step, summed over workers; steps overlap.
        elapsed_seconds: estimate of the time from begin to end, breaks left out.
        thresholds: None where masks were not proposed by a model.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    source_name: str
    checkpoint: str
    model_id: str | None
    images: int
    shards: int
    masks: int
    failed: int
    failures: dict[str, int]
    proposals: int
    dropped: dict[str, int]
    seconds: dict[str, float]
    elapsed_seconds: float
    images_per_second: float
    masks_per_second: float
    thresholds: UsedThresholds | None
    peak_memory_bytes: int
    hardware: dict[str, str | int]
    workers: int = 1
    threads: int
    device: str
    finished: str


def write_summary(
    run: Folder, manifest: Manifest, plan: Plan, thresholds: ResolvedThresholds | None
) -> Summary:
    """Adds up a complete run's sidecars and writes `summary.json`.

    Raises:
        ShardError: if the rows do not add up to the plan.
    """
    totals = add_up(run, range(plan.shards), manifest.shard_totals)
    _check_conservation(run, plan, totals)
    summary = Summary(
        source=manifest.source,
        source_name=manifest.source_name,
        checkpoint=manifest.checkpoint,
        model_id=manifest.configuration.get("model_id"),
        images=totals.images,
        shards=totals.shards,
        masks=totals.masks,
        failed=len(totals.failed),
        failures=totals.failures,
        proposals=totals.masks + totals.dropped.total(),
        dropped=dict(sorted(totals.dropped.items())),
        seconds={step: round(spent, 3) for step, spent in sorted(totals.seconds.items())},
        elapsed_seconds=round(totals.elapsed_seconds, 3),
        images_per_second=totals.per_second(totals.images),
        masks_per_second=totals.per_second(totals.masks),
        thresholds=UsedThresholds.of(thresholds),
        peak_memory_bytes=totals.peak_memory_bytes,
        hardware=manifest.hardware,
        workers=totals.workers,
        threads=manifest.threads,
        device=manifest.device,
        finished=timestamp(),
    )
    run.write(SUMMARY_FILE, summary.model_dump_json(indent=2).encode())
    return summary


def renew_summary(run: Folder, shard_totals: tuple[int, ...]) -> None:
    """Brings the counts of a run's summary up to date with its sidecars; times stay as they were.

    Raises:
        ShardError: if a shard's sidecar is gone.
    """
    before = read_summary(run.address)
    totals = add_up(run, range(shard_totals[-1]), shard_totals)
    now = before.model_copy(
        update={
            "masks": totals.masks,
            "failed": len(totals.failed),
            "failures": totals.failures,
            "proposals": totals.masks + totals.dropped.total(),
            "dropped": dict(sorted(totals.dropped.items())),
        }
    )
    if now != before:
        run.write(SUMMARY_FILE, now.model_dump_json(indent=2).encode())


def read_summary(run: str) -> Summary:
    """The summary of a finished run.

    Raises:
        ConfigurationError: if there is none.
    """
    try:
        return Summary.model_validate_json(Folder(run).read(SUMMARY_FILE))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{run}: no {SUMMARY_FILE}, so this is no finished run. `mask-engine status` says how "
            "far it is; the command that began it goes on with it."
        ) from None


def _check_conservation(run: Folder, plan: Plan, totals: Totals) -> None:
    if (totals.rows, totals.images) != (plan.rows, plan.photos):
        raise ShardError(
            f"{run.address}: {plan.photos} photos are planned in {plan.rows} rows, but the shards "
            f"hold {totals.images} in {totals.rows}. A photo would be lost or counted twice, so no "
            "summary was written; this is a defect of mask-engine, or files were changed by hand."
        )

"""How far a run is, from its folder alone: no process has to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model.errors import ConfigurationError
from pipelines.manifest import read_manifest
from pipelines.plan import read_plan
from pipelines.run_folder import MANIFEST_FILE, SUMMARY_FILE, done_shards
from pipelines.storage import Folder
from pipelines.totals import add_up


@dataclass(frozen=True)
class RunStatus:
    """A run as its files show it; photos in shards under way are not seen yet.

    Attributes:
        finished: whether it is complete and has its summary.
        images: photos planned.
        rows_planned, rows_done: photos, those tried again counted again.
        shards_planned, shards_done: files.
        masks: masks kept so far.
        failures: photos that failed, by kind of error.
        images_per_second: of what is done; 0 before the first shard is.
        seconds_left: at that speed, or None where nothing is known, or nothing planned.
    """

    source: str
    finished: bool
    images: int
    rows_planned: int
    rows_done: int
    shards_planned: int
    shards_done: int
    masks: int
    failures: Mapping[str, int]
    images_per_second: float
    seconds_left: float | None

    @property
    def failed(self) -> int:
        """Photos that failed."""
        return sum(self.failures.values())


def run_status(run: str) -> RunStatus:
    """How far a run is.

    Raises:
        ConfigurationError: if there is no run in this folder.
    """
    folder = Folder(run)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ConfigurationError(
            f"{run}: no {MANIFEST_FILE}, so there is no run here. Give the folder that was --out."
        )
    done = done_shards(folder, manifest.shard_totals)
    totals = add_up(folder, done, manifest.shard_totals)
    plan = read_plan(folder).first_shards(manifest.shard_totals[-1])
    speed = totals.per_second(totals.rows)
    left = plan.rows - totals.rows
    return RunStatus(
        source=manifest.source,
        finished=left == 0 and folder.exists(SUMMARY_FILE),
        images=manifest.photos,
        rows_planned=plan.rows,
        rows_done=totals.rows,
        shards_planned=plan.shards,
        shards_done=len(done),
        masks=totals.masks,
        failures=totals.failures,
        images_per_second=speed,
        seconds_left=left / speed if speed else (0.0 if plan.rows and not left else None),
    )

"""How far a run is, in numbers that whoever waits for it wants to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pipelines.planning import PlannedRun
from pipelines.run_folder import done_shards
from pipelines.totals import add_up
from pipelines.work_link import ImageDone


@dataclass(frozen=True)
class Progress:
    """How far a run is; of the whole run, also what was done before it was resumed.

    Attributes:
        rows_planned, rows_done: photos, those tried again counted again.
        shards_planned, shards_done: files.
        masks: masks kept.
        failures: photos that failed, by kind of error.
    """

    rows_planned: int
    shards_planned: int
    rows_done: int = 0
    shards_done: int = 0
    masks: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Photos that failed."""
        return sum(self.failures.values())

    def with_image(self, done: ImageDone, *, times: int = 1) -> Progress:
        """One photo further; `times=-1` takes it back."""
        failures = Counter(self.failures)
        if done.error:
            failures[done.error] += times
        return replace(
            self,
            rows_done=self.rows_done + times,
            masks=self.masks + done.masks * times,
            failures=dict(failures),
        )


def progress_of(planned: PlannedRun) -> Progress:
    """How far a run is by its folder: every shard that is done, whoever made it."""
    manifest, plan = planned.manifest, planned.plan
    done = done_shards(planned.run, manifest.shard_totals)
    totals = add_up(planned.run, done, manifest.shard_totals)
    return Progress(
        rows_planned=plan.rows,
        shards_planned=plan.shards,
        rows_done=totals.rows,
        shards_done=totals.shards,
        masks=totals.masks,
        failures=totals.failures,
    )


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """The callback of those who do not want to know."""

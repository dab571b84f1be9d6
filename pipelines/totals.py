"""What the sidecars of a run add up to: the numbers behind its summary and its status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from model.errors import ShardError
from pipelines.run_folder import shard_name
from pipelines.sidecar import ShardStats, read_stats
from pipelines.storage import Folder


@dataclass
class Totals:
    """Sums over shards. Photos that were tried again count once, with their latest result.

    Attributes:
        shards, rows: done.
        images: photos that have a row.
        masks: masks kept.
        failed: kind of error by image id.
        dropped: proposals dropped, by reason.
        seconds: by step.
        elapsed_seconds: estimate of the time from begin to end: shards' wall time, divided by
            the number of workers that made shards at the same time.
        workers: the most that made shards at the same time.
        peak_memory_bytes: the most that any process had.
    """

    shards: int = 0
    rows: int = 0
    images: int = 0
    masks: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    elapsed_seconds: float = 0.0
    workers: int = 1
    peak_memory_bytes: int = 0

    def add(self, stats: ShardStats) -> None:
        """Adds a shard; shards have to come in ascending order."""
        self.shards += 1
        self.rows += stats.rows
        self.images += stats.rows - len(stats.revised)
        self.masks += stats.masks
        for image in stats.revised:
            self.failed.pop(image, None)
        self.failed.update({image.image_id: image.kind for image in stats.failed})
        self.dropped.update(stats.dropped)
        for step, seconds in stats.seconds.items():
            self.seconds[step] = self.seconds.get(step, 0.0) + seconds
        self.elapsed_seconds += stats.wall_seconds / stats.workers
        self.workers = max(self.workers, stats.workers)
        self.peak_memory_bytes = max(self.peak_memory_bytes, stats.peak_memory_bytes)

    @property
    def failures(self) -> dict[str, int]:
        """Photos that failed, by kind of error."""
        return dict(sorted(Counter(self.failed.values()).items()))

    def per_second(self, count: int) -> float:
        """A count as a speed."""
        return count / self.elapsed_seconds if self.elapsed_seconds else 0.0


def add_up(run: Folder, shards: Iterable[int], totals: tuple[int, ...]) -> Totals:
    """The totals of shards that are done.

    Raises:
        ShardError: if a shard's sidecar is gone.
    """
    result = Totals()
    for shard in shards:
        try:
            result.add(read_stats(run, shard))
        except FileNotFoundError as error:
            raise ShardError(
                f"{run.address}: shard {shard} is there but its sidecar in stats/ is not, so "
                f"nobody can say what it holds. Remove {shard_name(shard, totals)} and run the "
                "same command again: it makes both anew."
            ) from error
    return result

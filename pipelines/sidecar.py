"""What making a shard cost and gave: a small JSON file beside it, the source of every summary.

Times and memory differ from run to run, so they stand here and not in the shard, whose bytes do
not.
"""

from __future__ import annotations

import resource
import sys
from collections import Counter
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from pipelines.manifest import timestamp
from pipelines.run_folder import stats_path
from pipelines.storage import Folder
from stages.records import ImageRow


class FailedImage(BaseModel):
    """A photo that gave a row with an error."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image_id: str
    path: str
    kind: str


class ShardStats(BaseModel):
    """A shard's sidecar.

    Attributes:
        shard: its number.
        rows: rows in it.
        revised: ids of the photos that this shard tried again.
        masks: masks kept.
        failed: photos that failed.
        dropped: proposals dropped, by reason.
        seconds: by step; reading, decoding and encoding overlap with the model's.
        wall_seconds: from the shard's first photo to its last byte.
        workers, threads: how many processes worked at the same time, with how many threads each.
        peak_memory_bytes: of the process so far.
        finished: when, in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    shard: int
    rows: int
    revised: tuple[str, ...]
    masks: int
    failed: tuple[FailedImage, ...]
    dropped: dict[str, int]
    seconds: dict[str, float]
    wall_seconds: float
    workers: int
    threads: int
    peak_memory_bytes: int
    finished: str

    def write(self, run: Folder) -> None:
        """Writes the sidecar into a run's folder, whole."""
        run.write(stats_path(self.shard), self.model_dump_json(indent=1).encode())


def read_stats(run: Folder, shard: int) -> ShardStats:
    """A shard's sidecar.

    Raises:
        FileNotFoundError: if it is not there.
    """
    return ShardStats.model_validate_json(run.read(stats_path(shard)))


@dataclass
class Tally:
    """Counts rows while a shard is made."""

    rows: int = 0
    masks: int = 0
    revised: list[str] = field(default_factory=list)
    failed: list[FailedImage] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, row: ImageRow) -> None:
        """Counts one row."""
        self.rows += 1
        self.masks += len(row.masks)
        self.dropped.update(row.dropped)
        if row.revision:
            self.revised.append(row.ref.image_id)
        if row.error:
            self.failed.append(
                FailedImage(image_id=row.ref.image_id, path=row.ref.path, kind=row.error.type)
            )

    def spend(self, step: str, seconds: float) -> None:
        """Adds seconds to a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    def stats(self, shard: int, *, wall_seconds: float, workers: int, threads: int) -> ShardStats:
        """The sidecar of a shard whose rows were all counted."""
        return ShardStats(
            shard=shard,
            rows=self.rows,
            revised=tuple(self.revised),
            masks=self.masks,
            failed=tuple(self.failed),
            dropped=dict(sorted(self.dropped.items())),
            seconds=self.seconds,
            wall_seconds=wall_seconds,
            workers=workers,
            threads=threads,
            peak_memory_bytes=peak_memory_bytes(),
            finished=timestamp(),
        )


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

"""Hands out shards, counts what comes back, and decides when a run must stop. No Beam.

It is the in-process `WorkLink` itself; `workers` puts pipes between it and other processes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from model.errors import MaskEngineError, StopError
from pipelines.work_link import ImageDone

# Of fewer photos, a share says nothing yet; a run that has no more is judged at its end.
SMALLEST_JUDGED: Final = 20


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


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """The callback of those who do not want to know."""


class Coordinator:
    """The parent's side of a run.

    Attributes:
        progress: how far the run is.
        error: why it must stop, once it must.
    """

    def __init__(
        self,
        pending: Sequence[int],
        begun: Progress,
        *,
        max_failed_share: float,
        on_progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._pending = deque(pending)
        self._max_failed_share = max_failed_share
        self._on_progress = on_progress
        self.progress = begun
        self.error: MaskEngineError | None = None

    @property
    def pending(self) -> int:
        """Shards that nobody has claimed."""
        return len(self._pending)

    def claim(self) -> int | None:
        """The next shard, or None when there is none or the run must stop."""
        return self._pending.popleft() if self._pending and self.error is None else None

    def give_back(self, shard: int, done: Sequence[ImageDone]) -> None:
        """Takes back a shard that its worker could not finish, and what was counted of it."""
        self._pending.appendleft(shard)
        for image in done:
            self.progress = self.progress.with_image(image, times=-1)

    def image_begun(self, path: str) -> None:
        """Nothing to count yet."""

    def image_done(self, done: ImageDone) -> None:
        """Counts a photo.

        Raises:
            StopError: if too many have failed by now.
        """
        self.progress = self.progress.with_image(done)
        self._on_progress(self.progress)
        if SMALLEST_JUDGED <= self.progress.rows_done < self.progress.rows_planned:
            refuse_failures(self.progress.failures, self.progress.rows_done, self._max_failed_share)

    def shard_done(self, shard: int) -> None:
        """Counts a shard."""
        self.progress = replace(self.progress, shards_done=self.progress.shards_done + 1)
        self._on_progress(self.progress)

    def failed(self, error: MaskEngineError) -> bool:
        """Remembers the first error; nothing is handed out any more."""
        self.error = self.error or error
        return True


def refuse_failures(failures: Mapping[str, int], photos: int, max_failed_share: float) -> None:
    """Judges how many of the photos have failed.

    Raises:
        StopError: if their share is over the limit.
    """
    failed = sum(failures.values())
    if failed <= max_failed_share * photos:
        return
    kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(failures.items()) if count)
    raise StopError(
        f"{failed} of {photos} photos failed ({kinds}), more than the share of "
        f"{max_failed_share:g} that is allowed. A data set with such holes is seldom meant, so the "
        "run stops here. Shards that are done stay. Mend the source, or allow a larger share "
        "(max_failed_share), and run the same command again."
    )

"""Hands out shards, counts what comes back, and decides when a run must stop. No Beam.

It is the in-process `WorkLink` itself; `workers` puts pipes between it and other processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from model.errors import MaskEngineError, StopError
from pipelines.progress import Progress, ProgressCallback, ignore_progress
from pipelines.work_link import ImageDone

# Of fewer photos, a share says nothing yet; a run that has no more is judged at its end.
SMALLEST_JUDGED: Final = 20


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
        f"{max_failed_share:g} that is allowed (max_failed_share). A data set with such holes is "
        "seldom meant, so the run stops. Mend the source and begin a new run, or allow a larger "
        "share and run the same command again: shards that are done stay."
    )

"""What happened to a photo's proposals, and how long each step took."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts and times of one photo, filled in as it is handled.

    Attributes:
        proposals: masks that the model was asked for.
        dropped: of these, by reason.
        seconds: by step.
    """

    proposals: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts drops; a reason that never occurred is not listed."""
        if count:
            self.dropped[reason] += count

    def add(self, part: Tally, *, side_by_side: int) -> None:
        """Takes in the tally of a part; with so many at once, each took a share of the clock."""
        self.proposals += part.proposals
        self.dropped += part.dropped
        for step, seconds in part.seconds.items():
            self.seconds[step] += seconds / side_by_side

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Adds the wall time of the block to `step`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - start

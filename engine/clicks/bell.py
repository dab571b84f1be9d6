"""A bell between the click backend and whoever collects, rung when somebody submits.

Label Studio tells the backend, the backend touches a file in its log's folder, and a collection
that waits looks at once. Nothing depends on it: without a ring, it looks when its time has come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

BELL_FILE: Final = "rung"
SECONDS_BETWEEN_LOOKS: Final = 1.0


class Bell:
    """The bell of one log of prompts.

    Args:
        folder: the log's; None for a bell that nobody can ring.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / BELL_FILE

    def ring(self) -> None:
        """Wakes who waits.

        Raises:
            OSError: if the file cannot be touched.
        """
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)

    def mark(self) -> int:
        """What `wait` compares with; taken before a look, so that no ring during it is missed."""
        try:
            return 0 if self._file is None else self._file.stat().st_mtime_ns
        except OSError:
            return 0

    def wait(
        self, mark: int, seconds: float, *, sleep: Callable[[float], object] = time.sleep
    ) -> bool:
        """Waits until it was rung after the mark, or the time is over; returns whether it was."""
        deadline = time.monotonic() + seconds
        while self.mark() == mark:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            sleep(min(SECONDS_BETWEEN_LOOKS, left))
        return True

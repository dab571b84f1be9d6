"""Runs `mask-engine` in a process of its own and says what it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence


def run_command(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and the most megabytes (10^6 bytes) of a `mask-engine` command.

    Raises:
        SystemExit: the command failed.
    """
    begun = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "engine.cli", *command], dict(os.environ)
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"`mask-engine {' '.join(command)}` ended with {status}")
    bytes_a_unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - begun, usage.ru_maxrss * bytes_a_unit / 1e6

"""Runs `mask-engine` in a process of its own and says what it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: of the clock.
        processor_seconds: of all cores: other work on the machine changes it little.
        peak_mb: most memory, in megabytes (10^6 bytes).
    """

    seconds: float
    processor_seconds: float
    peak_mb: float


def run_command(command: Sequence[str]) -> Cost:
    """Runs a `mask-engine` command to its end.

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
    return Cost(
        seconds=time.perf_counter() - begun,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * bytes_a_unit / 1e6,
    )

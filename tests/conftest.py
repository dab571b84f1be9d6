"""What all tests share: the rule for tiers that cannot run, and quiet thread settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

# Before numpy and torch load: two cores are the reference machine, and parity tests must not
# change with the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure; 50 examples keep the default tier short.
settings.register_profile(
    "busy machine", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def cannot_run() -> Callable[[str], NoReturn]:
    """Call it with a reason where a tier lacks what it needs: CI fails, a user's run skips."""

    def _cannot_run(reason: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"this tier must run in CI, but: {reason}")
        pytest.skip(reason)

    return _cannot_run

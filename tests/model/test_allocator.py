"""What the settings do is seen in page faults of a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

TOUCH_A_LARGE_BLOCK_OFTEN = """
import resource, sys
import numpy as np
from model.allocator import keep_freed_memory

taken = keep_freed_memory() if sys.argv[1] == "keep" else False
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(2**25, np.uint8)
print(int(taken), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")


def taken_and_faults(how: str, **environment: str) -> tuple[bool, int]:
    inherited = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    answer = subprocess.run(
        [sys.executable, "-c", TOUCH_A_LARGE_BLOCK_OFTEN, how],
        check=True,
        capture_output=True,
        text=True,
        env=inherited | environment,
    )
    taken, faults = answer.stdout.split()
    return taken == "1", int(faults)


@needs_glibc
def test_freed_blocks_are_used_again_without_asking_the_system() -> None:
    """Numpy's blocks come in huge pages or in small ones; either way they come only once."""
    _, faults_as_python_starts = taken_and_faults("leave", NUMPY_MADVISE_HUGEPAGE="0")
    taken, faults = taken_and_faults("keep", NUMPY_MADVISE_HUGEPAGE="0")
    assert taken
    assert faults < faults_as_python_starts / 5


@needs_glibc
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_settings_of_the_user_are_left_alone(name: str) -> None:
    value = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}[name]
    taken, _ = taken_and_faults("keep", **{name: value})
    assert not taken


def test_another_library_than_glibc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from model import allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()

"""Runs that are killed at random moments end with the bytes of a run left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.status import run_status
from tests.pipelines.runs import make_photos, rows_by_path, run_quickly, shard_digests

PATIENCE_SECONDS = 120
REPOSITORY = Path(__file__).parents[2]


def start(photos: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.pipelines.run_for_killing"]
    arguments = [str(photos), str(out), str(workers)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command + arguments, cwd=REPOSITORY, env=environment)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def shards_in(out: Path) -> int:
    folder = out / "shards"
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def kill_at_a_random_moment(
    photos: Path, out: Path, workers: int, more_shards: int, delay_seconds: float
) -> None:
    """Kills the run a moment after some more shards are there (or lets it end before)."""
    goal = shards_in(out) + more_shards
    run = start(photos, out, workers)
    wait_until(lambda: run.poll() is not None or shards_in(out) >= goal)
    time.sleep(delay_seconds)
    run.send_signal(signal.SIGKILL)
    run.wait()


def check_killed_run(tmp_path: Path, *, kills: int, photos: int, workers: int, seed: int) -> None:
    moments = random.Random(seed)
    source, out = make_photos(tmp_path / "photos", photos), tmp_path / "killed"
    run_quickly(source, tmp_path / "alone")
    for _ in range(kills):
        kill_at_a_random_moment(
            source, out, workers, moments.choice([0, 1, 1, 2]), moments.uniform(0, 0.2)
        )
    assert start(source, out, workers).wait(PATIENCE_SECONDS) == 0
    assert shard_digests(out) == shard_digests(tmp_path / "alone")
    assert len(rows_by_path(out)) == photos
    assert run_status(str(out)).finished
    assert not (out / "_tmp").exists()


def test_a_run_killed_three_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    check_killed_run(tmp_path, kills=3, photos=24, workers=1, seed=7)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_twenty_times_ends_with_the_same_bytes(tmp_path: Path, workers: int) -> None:
    check_killed_run(tmp_path, kills=20, photos=100, workers=workers, seed=workers)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds children in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    source, out = make_photos(tmp_path / "photos", 200), tmp_path / "run"
    run = start(source, out, workers=2)
    wait_until(lambda: shards_in(out) > 0)
    listed = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert len(listed) >= 2
    wait_until(lambda: not any(is_running(pid) for pid in listed))
    assert run_status(str(out)).rows_done < 200


def is_running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import parallelism, run_config
from pipelines.parallelism import Machine
from pipelines.run_config import AutomaticRun
from tests.pipelines.runs import make_photos, run_quickly, shard_digests

GIB = 2**30
FOUR_CORES = Machine(cores=4, memory_bytes=64 * GIB)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_config.Machine, "here", classmethod(lambda _: FOUR_CORES))


def run_of(**settings: object) -> AutomaticRun:
    return AutomaticRun(**({"source": "photos", "out": "run", "workers": "auto"} | settings))


@pytest.mark.parametrize(
    ("fastest_threads", "shards", "workers", "threads"),
    [
        (1, 1, 1, 4),
        (1, 2, 2, 2),
        (1, 3, 3, 1),
        (1, 4, 4, 1),
        (1, 100, 4, 1),
        (2, 1, 1, 4),
        (2, 2, 2, 2),
        (2, 100, 2, 2),
    ],
)
def test_auto_takes_the_fastest_number_as_far_as_there_are_shards(
    four_cores: None,
    monkeypatch: pytest.MonkeyPatch,
    fastest_threads: int,
    shards: int,
    workers: int,
    threads: int,
) -> None:
    monkeypatch.setattr(parallelism, "FASTEST_THREADS", fastest_threads)
    run = run_of()
    assert run.own_threads(shards) == threads
    assert run.own_workers(threads, shards) == workers


def test_auto_leaves_each_worker_its_memory() -> None:
    assert Machine(cores=16, memory_bytes=8 * GIB).most_workers(shards=100) == 4
    assert Machine(cores=16, memory_bytes=8 * GIB).workers(threads=1, shards=100) == 4
    assert Machine(cores=16, memory_bytes=GIB).most_workers(shards=100) == 1


def test_why_auto_picked_so_many_is_told(four_cores: None) -> None:
    fastest = parallelism.fastest_processes(4)
    assert run_of().why_workers(fastest, shards=100) == "the fastest on 4 cores"
    assert run_of().why_workers(1, shards=1) == "one for each shard"
    short = Machine(cores=16, memory_bytes=7 * GIB)
    assert short.why(3, shards=100) == "memory for no more, at 2 GiB each"
    assert run_of(workers=4).why_workers(4, shards=100) is None
    assert run_of(out="memory://run").why_workers(1, shards=1) is None
    assert run_of().why_workers(1, shards=100) is None  # begun with more threads, elsewhere


def test_a_run_goes_on_with_the_threads_that_it_was_begun_with(four_cores: None) -> None:
    assert run_of().own_workers(threads=4, shards=100) == 1
    assert run_of().own_workers(threads=2, shards=100) == 2


@pytest.mark.parametrize(
    "alone",
    [
        {"out": "memory://run"},
        {"source": "memory://photos"},
        {"device": "cuda"},
        {"beam_options": ("--runner=PrismRunner",)},
    ],
)
def test_auto_is_one_worker_where_processes_would_not_help(
    four_cores: None, alone: dict[str, object]
) -> None:
    run = run_of(**alone)
    run.refuse_contradictions()
    assert (run.own_threads(100), run.own_workers(4, 100)) == (4, 1)


def test_stated_workers_and_threads_are_taken_as_they_are(four_cores: None) -> None:
    assert run_of(workers=2).own_threads(100) == 2
    assert run_of(workers=8).own_workers(1, 100) == 8
    assert run_of(threads=3).own_threads(100) == 3


def test_auto_makes_the_shards_that_one_worker_makes(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 4)
    alone = run_quickly(photos, tmp_path / "alone")
    summary = run_quickly(photos, tmp_path / "auto", workers="auto")
    assert shard_digests(tmp_path / "auto") == shard_digests(tmp_path / "alone")
    assert summary.workers >= alone.workers == 1

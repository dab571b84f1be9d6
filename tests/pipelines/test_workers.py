from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from model.errors import StopError
from pipelines.automatic import run_automatic
from pipelines.coordinator import Coordinator
from pipelines.progress import Progress
from pipelines.work_link import ImageDone, NobodyListens, current_link, linked
from tests.factories import make_photo_bytes
from tests.fakes import BrokenSegmenter, ColourEmbedding, DiscSegmenter
from tests.pipelines.runs import Recorder, make_photos, quick, run_quickly, shard_digests

POISON_HEIGHT = 33


class DeadlySegmenter(DiscSegmenter):
    """Is killed by photos of one height, as by the system when memory runs out."""

    def __init__(self, deaths: Path, most: int) -> None:
        super().__init__()
        self.deaths, self.most = deaths, most

    def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
        if image_HWC.shape[0] == POISON_HEIGHT:
            died = len(list(self.deaths.iterdir()))
            if died < self.most:
                (self.deaths / str(died)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(image_HWC)


def poisoned(tmp_path: Path) -> Path:
    (tmp_path / "deaths").mkdir()
    photos = make_photos(tmp_path / "photos", 5)
    (photos / "001x.png").write_bytes(make_photo_bytes(40, POISON_HEIGHT, file_format="PNG"))
    return photos


def test_a_worker_that_is_killed_once_is_replaced(tmp_path: Path) -> None:
    photos, recorder = poisoned(tmp_path), Recorder()
    run_quickly(photos, tmp_path / "alone")
    config = quick(photos, tmp_path / "run", workers=2)
    deadly = partial(DeadlySegmenter, tmp_path / "deaths", 1)
    summary = run_automatic(config, segmenter=deadly, progress=recorder)
    assert shard_digests(tmp_path / "run") == shard_digests(tmp_path / "alone")
    assert recorder.seen[-1].rows_done == 6
    assert recorder.seen[-1].masks == summary.masks


def test_a_photo_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    photos = poisoned(tmp_path)
    config = quick(photos, tmp_path / "run", workers=2)
    deadly = partial(DeadlySegmenter, tmp_path / "deaths", 99)
    with pytest.raises(StopError) as stopped:
        run_automatic(config, segmenter=deadly)
    assert "SIGKILL, twice at the same place, in shard 1, photo '001x.png'" in str(stopped.value)
    assert "use fewer workers" in str(stopped.value)


def test_too_many_failures_stop_all_workers(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 60)
    config = quick(photos, tmp_path / "run", workers=2)
    with pytest.raises(StopError, match=r"20 of 20 photos failed"):
        run_automatic(config, segmenter=BrokenSegmenter)


class ThreadCounter(DiscSegmenter):
    """Notes how many threads numpy may use while it is asked."""

    seen: ClassVar[list[int]] = []

    def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
        self.seen.extend(pool["num_threads"] for pool in threadpool_info())
        return super().embed(image_HWC)


@pytest.mark.parametrize("threads", [1, 2])
def test_numpy_uses_the_threads_a_worker_has(tmp_path: Path, threads: int) -> None:
    ThreadCounter.seen.clear()
    config = quick(make_photos(tmp_path / "photos", 1), tmp_path / "run", threads=threads)
    run_automatic(config, segmenter=ThreadCounter)
    assert ThreadCounter.seen
    assert max(ThreadCounter.seen) <= threads


def test_a_shard_given_back_is_handed_out_next_and_not_counted() -> None:
    coordinator = Coordinator([3, 4, 5], Progress(9, 3), max_failed_share=1)
    assert coordinator.claim() == 3
    done = [ImageDone(2), ImageDone(0, "empty")]
    for image in done:
        coordinator.image_done(image)
    coordinator.give_back(3, done)
    assert (coordinator.progress.rows_done, coordinator.progress.masks) == (0, 0)
    assert coordinator.progress.failed == 0
    assert [coordinator.claim() for _ in range(4)] == [3, 4, 5, None]


def test_nothing_is_handed_out_after_an_error() -> None:
    coordinator = Coordinator([1, 2], Progress(4, 2), max_failed_share=1)
    coordinator.failed(StopError("first"))
    coordinator.failed(StopError("second"))
    assert coordinator.claim() is None
    assert str(coordinator.error) == "first"


@pytest.mark.parametrize(("failed", "stops"), [(10, False), (11, True)])
def test_the_share_of_failures_is_judged_from_twenty_photos_on(failed: int, stops: bool) -> None:
    coordinator = Coordinator([], Progress(100, 10), max_failed_share=0.5)
    for number in range(19):
        coordinator.image_done(ImageDone(0, "empty" if number < failed else None))
    if not stops:
        coordinator.image_done(ImageDone(1))
        assert (coordinator.progress.rows_done, coordinator.progress.failed) == (20, 10)
        return
    with pytest.raises(StopError, match=r"11 of 20 photos failed \(empty: 11\)"):
        coordinator.image_done(ImageDone(1))


def test_a_link_is_a_processs_own_only_while_it_is_set() -> None:
    coordinator = Coordinator([], Progress(0, 0), max_failed_share=1)
    with linked(coordinator):
        assert current_link() is coordinator
    assert isinstance(current_link(), NobodyListens)
    assert not current_link().failed(StopError("nobody hears"))

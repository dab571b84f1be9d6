"""Two calls at one run: the second says that there is a first, and changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from engine.assist.collecting import collect
from engine.assist.progress import server_progress
from model.errors import BusyError
from pipelines.run_folder import TEMPORARY
from tests.engine.assist.runs import SIZE_HW, AssistedRun
from tests.factories import rectangle
from tests.pipelines.runs import shard_digests

LEFT = rectangle((0, 0, 20, 48), SIZE_HW)


def begun(folder: Path) -> AssistedRun:
    run = AssistedRun(folder, photos=2)
    run.send()
    run.annotate("000.png", [LEFT])
    return run


def test_a_second_call_says_so_and_stops_and_asking_how_far_it_is_disturbs_nobody(tmp_path):
    run = begun(tmp_path)
    half_written = run.out / TEMPORARY / ("part." + "0" * 32)
    seen = []

    def meanwhile(done: int, total: int) -> None:
        half_written.parent.mkdir(exist_ok=True)
        half_written.touch()  # of the first call
        for call in (run.collect, run.send):
            with pytest.raises(BusyError, match="is at work here"):
                call()
        seen.append(server_progress(run.settings, run.connection()).finished)
        assert half_written.exists()

    assert collect(run.settings, run.connection(), told=meanwhile).fresh == 1
    assert seen == [1, 1]
    before = shard_digests(run.out)
    assert run.collect().fresh == 0
    assert shard_digests(run.out) == before


def _collect_for_ever(folder: Path, ready: Event) -> None:
    run = begun(folder)

    def wait(done: int, total: int) -> None:
        ready.set()
        signal.pause()

    collect(run.settings, run.connection(), told=wait)


@pytest.mark.slow
def test_a_call_of_another_process_is_seen_and_its_death_too(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_collect_for_ever, args=(tmp_path, ready))
    other.start()
    try:
        assert ready.wait(120)
        run = AssistedRun(tmp_path, photos=2)
        with pytest.raises(BusyError, match=rf"process {other.pid} on .* is at work here"):
            run.collect()
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.join(60)
        other.close()
    (run.out / "label-studio.json").unlink()  # this process has a server of its own
    run.send()
    run.annotate("000.png", [LEFT])
    assert run.collect().fresh == 1

"""Batches drawn in other processes: in order, errors told, nothing left behind."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from engine.training.ahead import batches_ahead
from model.errors import (
    CheckpointError,
    ConfigurationError,
    MaskEngineError,
    RecordError,
    ShardError,
    StopError,
)
from model.training.examples import TrainingBatch
from tests.model.training.example_factory import make_example

PROGRAM = """
import os, time
from engine.training.ahead import batches_ahead
from tests.engine.training.test_ahead import Numbered, children_of
batches = batches_ahead(Numbered, first=0, examples=1)
next(batches)
print(*children_of(os.getpid()), flush=True)
time.sleep(600)
"""


class Numbered:
    """Batch number i is example number i."""

    def batch(self, number: int, examples: int) -> TrainingBatch:
        return TrainingBatch.stack([make_example(number) for _ in range(examples)])


class Broken:
    def batch(self, number: int, examples: int) -> TrainingBatch:
        raise OSError("photo gone")


class Misconfigured:
    def __init__(self) -> None:
        raise ConfigurationError("source 'mine': give its folder")


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [int(child) for child in listed]


@pytest.mark.parametrize("processes", [0, 2])
def test_batches_come_in_order_however_many_draw_them(processes: int) -> None:
    batches = batches_ahead(Numbered, first=3, examples=1, processes=processes)
    for number in range(3, 7):
        expected = Numbered().batch(number, 1)
        assert (next(batches).image_BSSC == expected.image_BSSC).all()
    batches.close()


def test_what_went_wrong_there_is_told_here() -> None:
    with pytest.raises(RuntimeError, match="drawing examples failed: OSError: photo gone"):
        next(batches_ahead(Broken, first=0, examples=1))


def test_an_error_that_says_what_to_do_comes_as_it_is() -> None:
    with pytest.raises(ConfigurationError, match=r"^source 'mine': give its folder$"):
        next(batches_ahead(Misconfigured, first=0, examples=1))


@pytest.mark.parametrize("kind", [ConfigurationError, CheckpointError, ShardError, StopError])
def test_errors_survive_the_way_between_processes(kind: type[MaskEngineError]) -> None:
    there = pickle.loads(pickle.dumps(kind("what to do")))
    assert (type(there), str(there)) == (kind, "what to do")
    record = pickle.loads(pickle.dumps(RecordError("unreadable", "look at it", passing=True)))
    assert (record.kind, str(record), record.passing) == ("unreadable", "look at it", True)


def test_a_drawing_process_that_is_killed_is_noticed_at_once() -> None:
    batches = batches_ahead(Numbered, first=0, examples=1, ahead=1)
    next(batches)
    (drawer,) = multiprocessing.active_children()
    drawer.kill()
    with pytest.raises(RuntimeError, match="ended with code -9; start the training again"):
        list(islice(batches, 1000))  # what was drawn before is still delivered


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds children in /proc")
def test_drawing_ends_with_a_training_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        children = [int(pid) for pid in process.stdout.readline().split()]
        process.send_signal(signal.SIGKILL)
    assert children
    deadline = time.monotonic() + 60
    while any(_is_running(pid) for pid in children):
        assert time.monotonic() < deadline, "a drawing process outlived its training"
        time.sleep(0.2)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"

"""Batches drawn ahead in other processes, delivered in order."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

import cv2

from model.errors import MaskEngineError
from model.training.examples import TrainingBatch

BATCH_SECONDS = 300.0


class BatchSource(Protocol):
    """Batch number i, the same every time it is asked for."""

    def batch(self, number: int, examples: int) -> TrainingBatch:
        """Draw batch `number`."""
        ...


@dataclass(frozen=True)
class _Work:
    """What one process draws: batches `first`, `first + stride`, ..., and `ahead` at most."""

    build: Callable[[], BatchSource]
    first: int
    stride: int
    examples: int
    ahead: int


def batches_ahead(
    build: Callable[[], BatchSource],
    *,
    first: int,
    examples: int,
    processes: int = 1,
    ahead: int = 4,
    stride: int = 1,
) -> Iterator[TrainingBatch]:
    """Batches `first`, `first + stride`, ... for ever, drawn by `processes` other processes.

    Args:
        build: makes the source inside each process; must be picklable.
        first: number of the first batch.
        examples: a batch.
        processes: 0 draws in this process.
        ahead: batches that each process keeps ready.
        stride: distance of batch numbers, the number of training processes.

    Raises:
        MaskEngineError: what the source raised, from whatever process.
        RuntimeError: a process died or drew nothing for minutes.
    """
    if processes == 0:
        source = build()
        number = first
        while True:
            yield source.batch(number, examples)
            number += stride
    context = multiprocessing.get_context("spawn")
    drawers: list[tuple[BaseProcess, Connection]] = []
    try:
        for index in range(processes):
            ours, theirs = context.Pipe(duplex=False)
            work = _Work(build, first + index * stride, processes * stride, examples, ahead)
            process = context.Process(target=_draw_for_ever, args=(work, theirs), daemon=True)
            process.start()
            theirs.close()  # so that its end is seen here
            drawers.append((process, ours))
        while True:
            for drawer, ours in drawers:
                yield _take(drawer, ours)
    finally:
        for drawer, _ in drawers:
            drawer.terminate()


def _draw_for_ever(work: _Work, taker: Connection) -> None:
    ready: queue.Queue[object] = queue.Queue(maxsize=work.ahead)
    threading.Thread(target=_draw, args=(work, ready), daemon=True).start()
    with suppress(BrokenPipeError):  # the training ended
        while True:
            taker.send(ready.get())


def _draw(work: _Work, ready: queue.Queue[object]) -> None:
    # One thread a process: the cores belong to the network.
    cv2.setNumThreads(1)
    try:
        source = work.build()
        number = work.first
        while True:
            ready.put(source.batch(number, work.examples))
            number += work.stride
    except MaskEngineError as error:
        ready.put(error)  # as it is: it says what to do, and decides on the exit code
    except Exception as error:  # noqa: BLE001 - handed to the training process, raised there
        ready.put(RuntimeError(f"drawing examples failed: {type(error).__name__}: {error}"))


def _take(drawer: BaseProcess, connection: Connection) -> TrainingBatch:
    if not connection.poll(BATCH_SECONDS):
        raise RuntimeError(f"the process that draws examples gave none for {BATCH_SECONDS:.0f} s")
    try:
        item = connection.recv()
    except (EOFError, OSError):
        drawer.join()
        raise RuntimeError(
            f"the process that draws examples ended with code {drawer.exitcode}; "
            "start the training again: it goes on from its last state"
        ) from None
    if isinstance(item, Exception):
        raise item
    batch: TrainingBatch = item
    return batch

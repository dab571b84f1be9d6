"""Batches drawn ahead in other processes, delivered in order."""

from __future__ import annotations

import multiprocessing
import queue as queue_module
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import cv2

from model.training.examples import TrainingBatch

QUEUE_SECONDS = 300.0
LOOK_FOR_PARENT_SECONDS = 2.0


class BatchSource(Protocol):
    """Batch number i, the same every time it is asked for."""

    def batch(self, number: int, examples: int) -> TrainingBatch:
        """Draw batch `number`."""
        ...


@dataclass(frozen=True)
class _Work:
    """What one process draws: batches `first`, `first + stride`, ..."""

    build: Callable[[], BatchSource]
    first: int
    stride: int
    examples: int


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
        RuntimeError: a process died or drew nothing for minutes.
    """
    if processes == 0:
        source = build()
        number = first
        while True:
            yield source.batch(number, examples)
            number += stride
    context = multiprocessing.get_context("spawn")
    workers: list[tuple[BaseProcess, Any]] = []
    try:
        for index in range(processes):
            queue = context.Queue(maxsize=ahead)
            work = _Work(build, first + index * stride, processes * stride, examples)
            drawer = context.Process(target=_draw_for_ever, args=(work, queue), daemon=True)
            drawer.start()
            workers.append((drawer, queue))
        while True:
            for process, queue in workers:
                yield _take(process, queue)
    finally:
        for process, _ in workers:
            process.terminate()


def _draw_for_ever(work: _Work, queue: Any) -> None:
    # One thread a process: the cores belong to the network.
    cv2.setNumThreads(1)
    try:
        source = work.build()
        number = work.first
        while _put(queue, source.batch(number, work.examples)):
            number += work.stride
    except Exception as error:  # noqa: BLE001 - handed to the training process, raised there
        _put(queue, RuntimeError(f"drawing examples failed: {type(error).__name__}: {error}"))


def _put(queue: Any, item: object) -> bool:
    """Wait for room; false once nobody will take it: a training process was killed."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            queue.put(item, timeout=LOOK_FOR_PARENT_SECONDS)
        except queue_module.Full:
            continue
        return True
    queue.cancel_join_thread()
    return False


def _take(process: BaseProcess, queue: Any) -> TrainingBatch:
    try:
        item = queue.get(timeout=QUEUE_SECONDS)
    except queue_module.Empty:
        state = "is alive" if process.is_alive() else f"ended with code {process.exitcode}"
        raise RuntimeError(
            f"no batch for {QUEUE_SECONDS:.0f} s; the drawing process {state}"
        ) from None
    if isinstance(item, Exception):
        raise item
    batch: TrainingBatch = item
    return batch

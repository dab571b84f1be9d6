"""Worker processes: each runs the same in-memory Beam pipeline on shards that it claims.

Shards are handed out one at a time over a pipe, so a slow photo holds up one worker and not a
fixed share of the run. Workers end with their parent, whatever ends it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from model.allocator import keep_freed_memory
from model.errors import MaskEngineError, StopError
from pipelines.coordinator import Coordinator
from pipelines.shard_work import ShardRecipe
from pipelines.work_link import ImageDone

_THREAD_SETTINGS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Message = tuple[str, Any]


def make_shards_here(recipe: ShardRecipe, coordinator: Coordinator) -> None:
    """Makes all pending shards in this process (so `memory://` works)."""
    with without_import_noise():
        from pipelines.beam_pipeline import run_linked
    run_linked(recipe, coordinator)


def make_shards_in_workers(recipe: ShardRecipe, coordinator: Coordinator, workers: int) -> None:
    """Makes all pending shards in processes of their own.

    A worker that the system kills is replaced and its shard made again, once; the second time,
    the coordinator gets a StopError that names the photo.
    """
    pool = _Pool(recipe, coordinator)
    try:
        for _ in range(min(workers, coordinator.pending)):
            pool.start()
        pool.serve()
    finally:
        pool.end()


@contextlib.contextmanager
def without_import_noise() -> Iterator[None]:
    """Importing Beam warns about Google's cloud clients, which nobody here asked for."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


class PipeLink:
    """A worker's link: every message goes to the parent, and a claim waits for its answer.

    Losing the parent ends the process: what it would make has nobody left to count it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self) -> int | None:
        """Asks for a shard."""
        self._send("claim", None)
        try:
            shard: int | None = self._connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        return shard

    def image_begun(self, path: str) -> None:
        """Says which photo comes next, so that the parent can name it if this worker dies."""
        self._send("image_begun", path)

    def image_done(self, done: ImageDone) -> None:
        """Tells that a photo became a row."""
        self._send("image_done", done)

    def shard_done(self, shard: int) -> None:
        """Tells that a shard is there."""
        self._send("shard_done", shard)

    def failed(self, error: MaskEngineError) -> bool:
        """Tells why the work cannot go on."""
        self._send("failed", error)
        return True

    def _send(self, what: str, value: object) -> None:
        try:
            self._connection.send((what, value))
        except OSError:
            os._exit(1)


def worker_main(connection: Connection, recipe: ShardRecipe) -> None:
    """What a worker process runs."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with without_import_noise():
        from pipelines.beam_pipeline import run_linked
    run_linked(recipe, PipeLink(connection))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Worker:
    """A worker as its parent sees it."""

    def __init__(self, recipe: ShardRecipe) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=worker_main, args=(theirs, recipe), daemon=True)
        self.shard: int | None = None
        self.photo = "none yet"
        self.counted: list[ImageDone] = []
        self.process.start()
        theirs.close()


class _Pool:
    """The parent's side of all workers."""

    def __init__(self, recipe: ShardRecipe, coordinator: Coordinator) -> None:
        self._recipe = recipe
        self._coordinator = coordinator
        self._workers: dict[Connection, _Worker] = {}
        self._lost_before: set[int | None] = set()

    def start(self) -> None:
        with _threads_in_environment(self._recipe.threads):
            worker = _Worker(self._recipe)
        self._workers[worker.connection] = worker

    def serve(self) -> None:
        """Answers until every worker has ended or the run must stop."""
        while self._workers and self._coordinator.error is None:
            for connection in wait(list(self._workers)):
                worker = self._workers[connection]  # type: ignore[index]
                try:
                    message: _Message = worker.connection.recv()
                except (EOFError, OSError):
                    self._ended(worker)
                else:
                    self._take(worker, message)

    def _take(self, worker: _Worker, message: _Message) -> None:
        what, value = message
        if what == "claim":
            worker.shard, worker.counted = self._coordinator.claim(), []
            with contextlib.suppress(OSError):  # it died waiting: its end is seen next
                worker.connection.send(worker.shard)
        elif what == "image_begun":
            worker.photo = value
        else:
            if isinstance(value, ImageDone):
                worker.counted.append(value)
            try:
                getattr(self._coordinator, what)(value)
            except StopError as error:
                self._coordinator.failed(error)

    def _ended(self, worker: _Worker) -> None:
        del self._workers[worker.connection]
        worker.process.join()
        code = worker.process.exitcode
        if code == 0 or self._coordinator.error:
            return
        if code is not None and code < 0 and worker.shard not in self._lost_before:
            self._lost_before.add(worker.shard)
            if worker.shard is not None:
                self._coordinator.give_back(worker.shard, worker.counted)
            self.start()
            return
        self._coordinator.failed(StopError(_why_ended(code, worker)))

    def end(self) -> None:
        """Ends what still runs; half-made shards have no name yet, so nothing is left of them."""
        for worker in self._workers.values():
            worker.process.terminate()
        for worker in self._workers.values():
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()


def _why_ended(code: int | None, worker: _Worker) -> str:
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}, twice at the same place"
        hint = "The system does that when memory runs out: use fewer workers"
    else:
        how = f"ended with code {code}"
        hint = "Its own message stands above; a defect of mask-engine is likely"
    return (
        f"a worker {how}, in shard {worker.shard}, photo {worker.photo!r}. Shards that are done "
        f"stay. {hint}, or take that photo out, and run the same command again to go on."
    )


@contextlib.contextmanager
def _threads_in_environment(threads: int) -> Iterator[None]:
    """Libraries read their number of threads when they load, so it has to be there before."""
    before = {name: os.environ.get(name) for name in _THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

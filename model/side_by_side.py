"""Batches of prompts side by side, each on one thread of this process from prompts to masks.

torch and numpy can use several threads inside every operation, but answering prompts is thousands
of small ones, at whose ends the threads wait for each other: two are hardly faster than one.
Batches wait for each other only once, at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(
    work: Callable[[Item], Made], items: Sequence[Item], threads: int
) -> Iterator[Made]:
    """What `work` makes of each item, in the items' order, whichever is done first."""
    threads = min(threads, len(items))
    if threads < 2:
        yield from map(work, items)
        return
    with (
        threadpool_limits(limits=1, user_api="blas"),  # numpy's: one setting for the process
        _one_torch_thread_in_each() as begin,
        ThreadPoolExecutor(threads, initializer=begin) as pool,
    ):
        yield from pool.map(work, items)


@contextmanager
def _one_torch_thread_in_each() -> Iterator[Callable[[], None]]:
    """Gives what each thread has to call first: torch has a setting for every thread."""
    torch = sys.modules.get("torch")  # whoever runs a network has it, and nobody else waits for it
    if torch is None:
        yield lambda: None
        return
    before = torch.get_num_threads()
    try:
        yield lambda: torch.set_num_threads(1)
    finally:
        torch.set_num_threads(before)  # a new thread begins with what was set last, anywhere

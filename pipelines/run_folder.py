"""Where things lie in a run's folder, and which of its shards are done.

`manifest.json`, `plan.parquet`, `shards/part-00012-of-00064.parquet`, `stats/part-00012.json`,
`summary.json`. A shard is done when its file is there: `ls` tells how far a run is.
"""

from __future__ import annotations

import contextlib
import errno
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from model.errors import ConfigurationError, MaskEngineError
from pipelines.lock import LEASE_FILE, LOCK_FILE, Lock, run_lock
from pipelines.plan import PLAN_FILE
from pipelines.storage import TEMPORARY, Folder

MANIFEST_FILE: Final = "manifest.json"
SUMMARY_FILE: Final = "summary.json"
SHARDS: Final = "shards"
STATS: Final = "stats"
_LEFTOVER: Final = re.compile(r"\.[0-9a-f]{32}$")
_BEFORE_THE_MANIFEST: Final = frozenset({TEMPORARY, PLAN_FILE, LOCK_FILE, LEASE_FILE})


def shard_path(index: int, total: int) -> str:
    """Name of a shard in its run's folder.

    Args:
        index: counts from 0 over the whole run.
        total: number of shards of the run when this one was planned; shards that were added
            later say a larger one.
    """
    return f"{SHARDS}/part-{index:05d}-of-{total:05d}.parquet"


def shard_name(index: int, totals: Sequence[int]) -> str:
    """Name of a shard, given how many there were after the first plan and each later addition."""
    return shard_path(index, next(total for total in totals if index < total))


def stats_path(index: int) -> str:
    """Name of a shard's sidecar in its run's folder."""
    return f"{STATS}/part-{index:05d}.json"


def done_shards(run: Folder, totals: Sequence[int]) -> list[int]:
    """Numbers of the shards that are there, ascending."""
    there = set(run.names(SHARDS))
    count = totals[-1] if totals else 0
    names = (shard_name(index, totals).rsplit("/", 1)[-1] for index in range(count))
    return [index for index, name in enumerate(names) if name in there]


def prepare_folder(address: str) -> Folder:
    """Makes sure that a run can be written here, and clears what killed runs left half-written.

    Raises:
        ConfigurationError: if the folder is a file, holds something else, or is not writable.
        StopError: if the disk is full.
    """
    run = Folder(address)
    try:
        refuse_foreign(run)
        clear_leftovers(run)
        _probe(run)
    except OSError as error:
        raise ConfigurationError(_unwritable(address, error)) from error
    return run


@contextlib.contextmanager
def alone_at(address: str) -> Iterator[Lock]:
    """Holds a run's folder while the block changes it, so that no second call can.

    Raises:
        BusyError: if another process is at it.
        ConfigurationError: if the folder is a file, holds something else, or is not writable.
    """
    run = Folder(address)
    refuse_foreign(run)
    with run_lock(run) as lock:
        yield lock


def clear_leftovers(run: Folder) -> None:
    """Removes what killed runs left half-written, and nothing that somebody else put there."""
    for name in run.names(TEMPORARY):
        if _LEFTOVER.search(name):
            run.remove(f"{TEMPORARY}/{name}")
    if not run.names(TEMPORARY):
        run.remove(TEMPORARY)


def refuse_foreign(run: Folder) -> None:
    """Raises ConfigurationError if the folder is a file, or holds something else than a run."""
    if run.exists() and run.filesystem.isfile(run.root):
        raise ConfigurationError(
            f"{run.address}: is a file, and a run needs a folder. Give another `out`."
        )
    names = set(run.names())
    if MANIFEST_FILE in names or names <= _BEFORE_THE_MANIFEST:
        return
    some = ", ".join(sorted(names - _BEFORE_THE_MANIFEST)[:3])
    raise ConfigurationError(
        f"{run.address}: holds other things ({some}) and no {MANIFEST_FILE}, so it is not a run's "
        "folder. Nothing was written; give an empty folder, or a new one, as `out`."
    )


def _probe(run: Folder) -> None:
    """Writes and removes a file: permissions can only be known by trying."""
    name = f"{TEMPORARY}/probe.{uuid.uuid4().hex}"
    try:
        run.write(name, b"mask-engine")
    except MaskEngineError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno != errno.ENOSPC:
            raise ConfigurationError(_unwritable(run.address, error.__cause__)) from error
        raise
    clear_leftovers(run)


def _unwritable(address: str, error: OSError) -> str:
    return (
        f"{address}: cannot be written ({type(error).__name__}: {error}). Nothing was started; "
        "give another `out`, or the right to write there."
    )

"""One process at a time that changes a folder: a file lock on local disks, a lease on S3.

The file lock ends with its process, however that ends. The lease is an object that its holder
rewrites every few seconds with conditional requests; who finds one unchanged for a while, by its
own stopwatch, takes it over. Other stores offer neither.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from model.errors import BusyError, ConfigurationError, StopError
from pipelines.storage import Folder, can_create_once, is_local

LOCK_FILE: Final = "lock"
LEASE_FILE: Final = "lock.json"
BEAT_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 30.0


class Lock:
    """A lock that is held; asked before every commit."""

    def __init__(self) -> None:
        self._lost = threading.Event()
        self._good_until = math.inf

    def lose(self) -> None:
        """Notes that somebody else has it now."""
        self._lost.set()

    def hold_until(self, moment: float) -> None:
        """Notes until when nobody else may take it, by this machine's stopwatch."""
        self._good_until = moment

    def check(self) -> None:
        """Raises StopError if the lock was lost, or if it was not renewed in time."""
        if self._lost.is_set() or time.monotonic() > self._good_until:
            raise StopError(
                "the lock on the folder was lost (this machine was stopped or cut off "
                "for long, and another process took over). Nothing was committed; run the same "
                "command again when that one has ended."
            )


@contextlib.contextmanager
def folder_lock(folder: Folder) -> Iterator[Lock]:
    """Holds the folder while the block runs.

    Raises:
        BusyError: if another process holds it.
        ConfigurationError: if the store cannot be locked.
    """
    if is_local(folder.filesystem):
        with _file_lock(folder) as lock:
            yield lock
    elif can_create_once(folder.filesystem):
        with _lease(folder) as lock:
            yield lock
    else:
        raise ConfigurationError(
            f"{folder.address}: an engine's ledger needs a local disk or S3. On this store two "
            "calls at once could not be told from each other, so nothing was started."
        )


@contextlib.contextmanager
def run_lock(folder: Folder) -> Iterator[Lock]:
    """As `folder_lock`; where a store cannot be locked, nobody is kept out.

    A run's folder has no ledger: two calls at once on such a store are the user's to avoid.
    """
    if can_create_once(folder.filesystem):
        with folder_lock(folder) as lock:
            yield lock
    else:
        yield Lock()


@contextlib.contextmanager
def _file_lock(folder: Folder) -> Iterator[Lock]:
    path = Path(folder.path(LOCK_FILE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{folder.address}: cannot be written ({type(error).__name__}: {error})"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise BusyError(_held(folder, file.read().strip() or "another process")) from (None)
        file.seek(0)
        file.truncate()
        file.write(_who())
        file.flush()
        yield Lock()


@contextlib.contextmanager
def _lease(folder: Folder) -> Iterator[Lock]:
    store = _LeaseObject(folder)
    lock, ended = Lock(), threading.Event()
    store.take()
    lock.hold_until(time.monotonic() + LEASE_SECONDS)

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            began = time.monotonic()
            try:
                is_ours = store.renew()
            except Exception:  # noqa: BLE001 - botocore's are no OSErrors; the lease runs out by itself
                continue
            if not is_ours:
                lock.lose()
                return
            lock.hold_until(began + LEASE_SECONDS)

    thread = threading.Thread(target=beat, daemon=True, name="lease")
    thread.start()
    try:
        yield lock
    finally:
        ended.set()
        thread.join()
        store.release()


class _LeaseObject:
    """The object on S3, and the tag of the version that is ours."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._bucket, self._key, _ = folder.filesystem.split_path(folder.path(LEASE_FILE))
        self._tag = ""

    def take(self) -> None:
        try:
            self._folder.create(LEASE_FILE, _lease_text())
        except FileExistsError:
            self._take_over(self._patiently())
        else:
            self._tag = self._tag_now()

    def renew(self) -> bool:
        """Rewrites it; gives whether it is still ours.

        Raises:
            Exception: whatever the network's trouble is; it is not renewed then, nor lost.
        """
        text = _lease_text()
        try:
            self._put(self._tag, text)
        except FileNotFoundError:
            return False
        except Exception:
            tag = self._tag_now()
            if tag == self._tag:
                raise
            if self._folder.read(LEASE_FILE) != text:
                return False
            self._tag = tag  # it was written, and the answer got lost
        return True

    def release(self) -> None:
        with contextlib.suppress(Exception):  # it runs out by itself
            if self._tag_now() == self._tag:
                self._folder.remove(LEASE_FILE)

    def _patiently(self) -> str:
        """The tag of a lease whose holder shows no sign of life.

        Raises:
            BusyError: if it does.
        """
        seen, holder = self._tag_now(), self._holder()
        deadline = time.monotonic() + LEASE_SECONDS
        while time.monotonic() < deadline and not _is_dead_here(holder):
            time.sleep(BEAT_SECONDS / 5)
            if self._tag_now() != seen:
                raise BusyError(_held(self._folder, str(holder.get("who", "?"))))
        return seen

    def _take_over(self, tag: str) -> None:
        try:
            self._put(tag, _lease_text())
        except OSError:
            raise BusyError(_held(self._folder, "another process")) from None

    def _put(self, tag: str, text: bytes) -> None:
        answer = self._folder.filesystem.call_s3(
            "put_object", Bucket=self._bucket, Key=self._key, Body=text, IfMatch=tag
        )
        self._tag = answer["ETag"]

    def _tag_now(self) -> str:
        self._folder.filesystem.invalidate_cache()
        try:
            return str(self._folder.filesystem.info(self._folder.path(LEASE_FILE))["ETag"])
        except FileNotFoundError:
            return ""

    def _holder(self) -> dict[str, Any]:
        try:
            holder = json.loads(self._folder.read(LEASE_FILE))
        except (OSError, ValueError):
            return {}
        return holder if isinstance(holder, dict) else {}


def _lease_text() -> bytes:
    about = {
        "who": _who(),
        "machine": platform.node(),
        "process": os.getpid(),
        "beat": uuid.uuid4().hex,
    }
    return json.dumps(about).encode()


def _who() -> str:
    return f"process {os.getpid()} on {platform.node()}"


def _is_dead_here(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    if holder.get("machine") != platform.node() or not isinstance(holder.get("process"), int):
        return False
    try:
        os.kill(holder["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _held(folder: Folder, who: str) -> str:
    return (
        f"{folder.address}: {who} is at work here. Two at once would undo each other's steps, so "
        "this call did nothing; `mask-engine status` says how far it is."
    )

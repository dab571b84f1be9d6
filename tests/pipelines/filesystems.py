"""Filesystems that behave badly, for fsspec, within one process."""

from __future__ import annotations

import errno
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem


class FlakyFileSystem(MemoryFileSystem):
    """Raises what it is told to for some paths: `flaky://`."""

    protocol = ("flaky",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    troubles: ClassVar[dict[str, Exception]] = {}

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        if error := self.troubles.get(path):
            raise error
        return bytes(super().cat_file(path, start, end, **kwargs))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(path.removeprefix("flaky://"))


class SmallDiskFileSystem(MemoryFileSystem):
    """Has room for so many bytes a file: `smalldisk://`. It renames, as a disk does."""

    protocol = ("smalldisk",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    room_bytes: ClassVar[int] = 10**9

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            return super()._open(path, mode, **kwargs)
        file = _SmallFile(self, path)
        file.commit()
        return file

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(path.removeprefix("smalldisk://"))


class _SmallFile(MemoryFile):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > SmallDiskFileSystem.room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def register() -> None:
    """Makes both known to fsspec, empty and well-behaved."""
    for kind in (FlakyFileSystem, SmallDiskFileSystem):
        fsspec.register_implementation(kind.protocol[0], kind, clobber=True)
        kind.store.clear()
        kind.pseudo_dirs[:] = [""]
    FlakyFileSystem.troubles.clear()
    SmallDiskFileSystem.room_bytes = 10**9

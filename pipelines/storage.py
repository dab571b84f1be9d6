"""One folder on any fsspec filesystem, whose files appear whole or not at all.

On filesystems that can rename, a file is written to `_tmp/<name>.<uuid>` and moved to its final
name; on object stores it is written to a local temporary file and sent as one upload, which the
store publishes when it is complete. Either way a reader, or a run killed in the middle, never
meets half a file under a final name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, Final, cast

import fsspec

from model.errors import ConfigurationError, ShardError, StopError

TEMPORARY: Final = "_tmp"
PUBLISHES_WHOLE: Final = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "memory"}
)
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
NEARLY_FULL_BYTES: Final = 2**20
_SAYS_FULL: Final = "No space left on device"


def open_filesystem(address: str) -> tuple[Any, str]:
    """The fsspec filesystem of an address, and the address's path on it.

    An address without `://` is a local path, whatever characters it holds (fsspec itself would
    read `::` in it as a chain of filesystems).

    Raises:
        ConfigurationError: if no installed filesystem understands the address.
    """
    if "://" not in address:
        return fsspec.filesystem("file"), os.path.abspath(os.path.expanduser(address))
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        protocol = address.split("://", 1)[0]
        raise ConfigurationError(
            f"{address}: cannot open {protocol}:// addresses here ({error}). Install the package "
            "that serves it (for example mask-engine[s3] or mask-engine[gcs]), or check the "
            "spelling."
        ) from error
    return filesystem, path


def is_full_disk(error: BaseException, where: str) -> bool:
    """Whether an error comes of a full disk, as far as it, its causes or the disk itself say.

    Args:
        error: torch's writers, for one, raise a RuntimeError that does not say why.
        where: a folder of this machine that was written to.
    """
    cause: BaseException | None = error
    while cause is not None:
        if (isinstance(cause, OSError) and cause.errno in NO_SPACE) or _SAYS_FULL in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        return isinstance(error, RuntimeError) and shutil.disk_usage(where).free < NEARLY_FULL_BYTES
    except OSError:
        return False


def is_local(filesystem: Any) -> bool:
    """Whether paths on this filesystem are paths of this machine."""
    return "file" in _protocols(filesystem)


def can_create_once(filesystem: Any) -> bool:
    """Whether a name can be taken so that a second writer is refused."""
    return is_local(filesystem) or not {"s3", "s3a"}.isdisjoint(_protocols(filesystem))


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


@dataclass(frozen=True)
class Folder:
    """A folder by its address; cheap to pickle, opened where it is used.

    Names are relative to the folder, with `/` between parts.
    """

    address: str

    def __reduce__(self) -> tuple[object, ...]:
        return (Folder, (self.address,))

    @cached_property
    def filesystem(self) -> Any:
        """The fsspec filesystem that holds the folder."""
        return open_filesystem(self.address)[0]

    @cached_property
    def root(self) -> str:
        """The folder's path on its filesystem."""
        return open_filesystem(self.address)[1].rstrip("/") or "/"

    def path(self, name: str) -> str:
        """Path on the filesystem of a file in the folder."""
        return posixpath.join(self.root, name)

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or a file in it, is there now."""
        self.filesystem.invalidate_cache()
        return bool(self.filesystem.exists(self.path(name) if name else self.root))

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of what lies directly in the folder or in one below it."""
        self.filesystem.invalidate_cache()
        path = self.path(folder) if folder else self.root
        try:
            entries = self.filesystem.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries)

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises:
            FileNotFoundError: if it is not there.
        """
        return cast(bytes, self.filesystem.cat_file(self.path(name)))

    def open(self, name: str) -> BinaryIO:
        """A file for reading, seekable."""
        return cast(BinaryIO, self.filesystem.open(self.path(name), "rb"))

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file whole; see `writing` for errors."""
        with self.writing(name) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> None:
        """Writes a small file whole, unless there is one of this name: one writer wins.

        Raises:
            FileExistsError: if the name is taken; nothing was changed.
            ConfigurationError: if the filesystem cannot do that (`can_create_once`).
            StopError: if the disk is full.
            ShardError: if the file cannot be written for another reason.
        """
        if not can_create_once(self.filesystem):
            raise ConfigurationError(
                f"{self.address}: files cannot be created exclusively on this store; give a "
                "local path or an s3:// address"
            )
        try:
            if is_local(self.filesystem):
                self._link(name, data)
            else:
                self.filesystem.pipe_file(self.path(name), data, mode="create")
        except FileExistsError:
            raise
        except OSError as error:
            raise _explained(error, self.address, name) from error

    def _link(self, name: str, data: bytes) -> None:
        """Local: a link takes a name only if it is free, and the bytes are all there by then."""
        part = f"{TEMPORARY}/{posixpath.basename(name)}.{uuid.uuid4().hex}"
        self.write(part, data)
        try:
            os.makedirs(posixpath.dirname(self.path(name)), exist_ok=True)
            os.link(self.path(part), self.path(name))
            _sync_folder(os.path.dirname(self.path(name)))
        finally:
            self.remove(part)

    def remove(self, name: str) -> None:
        """Removes a file or a folder below; not being there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.rm(self.path(name), recursive=True)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write that gets its final name when the block ends, and none if it fails.

        Raises:
            StopError: if the disk is full.
            ShardError: if the file cannot be written or moved for another reason.
        """
        whole = PUBLISHES_WHOLE.isdisjoint(_protocols(self.filesystem))
        write = self._write_then_move if whole else self._write_then_upload
        try:
            with write(name) as file:
                yield file
        except OSError as error:
            raise _explained(error, self.address, name) from error

    @contextlib.contextmanager
    def _write_then_move(self, name: str) -> Iterator[BinaryIO]:
        temporary = self.path(f"{TEMPORARY}/{posixpath.basename(name)}.{uuid.uuid4().hex}")
        for parent in {posixpath.dirname(temporary), posixpath.dirname(self.path(name))}:
            self.filesystem.makedirs(parent, exist_ok=True)
        try:
            with self._create(temporary) as file:
                yield file
                file.flush()
                if is_local(self.filesystem):
                    # A name must not outlive its bytes when the power fails.
                    os.fsync(file.fileno())
            self._move(temporary, self.path(name))
        except BaseException:
            with contextlib.suppress(OSError):
                self.filesystem.rm_file(temporary)
            raise

    def _create(self, path: str) -> BinaryIO:
        if is_local(self.filesystem):
            return open(path, "wb")
        return cast(BinaryIO, self.filesystem.open(path, "wb"))

    def _move(self, temporary: str, final: str) -> None:
        if is_local(self.filesystem):
            os.replace(temporary, final)
            _sync_folder(os.path.dirname(final))
        else:
            self.filesystem.mv(temporary, final)

    @contextlib.contextmanager
    def _write_then_upload(self, name: str) -> Iterator[BinaryIO]:
        with tempfile.NamedTemporaryFile(prefix="mask-engine-") as file:
            yield cast(BinaryIO, file)
            file.flush()
            self.filesystem.put_file(file.name, self.path(name))


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError, address: str, name: str) -> StopError | ShardError:
    where = f"{address.rstrip('/')}/{name}"
    if error.errno in NO_SPACE or _SAYS_FULL in str(error):
        return StopError(
            f"{where}: the disk is full. Nothing half-written was kept, and what is finished "
            "stays. Free some space and run the same command again: it goes on from here."
        )
    return ShardError(
        f"{where}: cannot be written ({type(error).__name__}: {error}). What is finished stays; "
        "run the same command again to go on. If it comes back, check the permissions, and that "
        "no other run writes to the same folder."
    )

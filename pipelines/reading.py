"""A photo's bytes from wherever it lies, or a RecordError that says what stood in the way."""

from __future__ import annotations

import os
import stat
from typing import Any, cast

from model.errors import ConfigurationError, RecordError
from pipelines.storage import is_local, open_filesystem
from stages.photos import PhotoLimits


def read_photo(uri: str, limits: PhotoLimits) -> bytes:
    """The file behind an address; its size is asked before its bytes are fetched.

    Raises:
        RecordError: of kind `vanished`, `no_permission`, `too_many_bytes`, `unreadable`, or one
            that may pass: `network`, `timeout`.
    """
    try:
        filesystem, path = open_filesystem(uri)
        local = is_local(filesystem)
        return _read_local(path, limits) if local else _read_remote(filesystem, path, limits)
    except RecordError:
        raise
    except ConfigurationError as error:
        raise RecordError("unreadable", str(error)) from error
    except FileNotFoundError as error:
        raise RecordError("vanished", f"{uri}: is not there (any more)") from error
    except PermissionError as error:
        raise RecordError("no_permission", f"{uri}: this user may not read it") from error
    except TimeoutError as error:
        raise RecordError("timeout", f"{uri}: no answer in time", passing=True) from error


def stamp_of(uri: str) -> str:
    """What changes when a file is replaced, without reading it: size, and time or tag.

    Empty where nobody can say, as behind http addresses.
    """
    if uri.startswith(("http://", "https://")):
        return ""
    try:
        filesystem, path = open_filesystem(uri)
        if is_local(filesystem):
            status = os.stat(path)
            return f"{status.st_size} {status.st_mtime_ns}"
        filesystem.invalidate_cache()
        known = filesystem.info(path)
    except Exception:  # noqa: BLE001 - one photo's border: whoever reads it says what is wrong
        return ""
    marks = (known.get(key) for key in ("ETag", "etag", "LastModified", "mtime", "created"))
    found = next((mark for mark in marks if mark is not None), None)
    return "" if found is None else f"{known.get('size')} {found}"


def _read_local(path: str, limits: PhotoLimits) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe or a device would wait for ever.
            raise RecordError("unreadable", f"{path}: is not a file")
        _check_size(path, status.st_size, limits)
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, PermissionError, TimeoutError):
        raise
    except (OSError, ValueError) as error:
        raise RecordError("unreadable", f"{path}: cannot be read ({error})") from error


def _read_remote(filesystem: Any, path: str, limits: PhotoLimits) -> bytes:
    try:
        _check_size(path, filesystem.size(path), limits)
        return cast(bytes, filesystem.cat_file(path))
    except (RecordError, FileNotFoundError, PermissionError, TimeoutError):
        raise
    except Exception as error:
        message = f"{path}: the store did not give it ({type(error).__name__}: {error})"
        raise RecordError("network", message, passing=True) from error


def _check_size(path: str, size: int | None, limits: PhotoLimits) -> None:
    if size is not None and size > limits.max_bytes:
        raise RecordError(
            "too_many_bytes", f"{path}: has {size:,} bytes, the limit is {limits.max_bytes:,}"
        )

"""Keeps freed memory in the process, so that the next photo does not ask the system for it again.

glibc gives large blocks back to the system as soon as they are free, and the system clears every
page of them when they are asked for anew. A network asks for the same blocks a thousand times a
photo: half of a CPU's time can go into that. Needs no torch, and touches no result.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

_MMAP_MAX: Final = -4  # names of <malloc.h>
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_NOT_BEFORE_BYTES: Final = 2**30
_AT_ONCE_BYTES: Final = 64 * 2**20


def keep_freed_memory() -> bool:
    """Tells glibc to serve large blocks from its heap and to keep up to a gigabyte that is free.

    Does nothing where the memory comes from another library than glibc, or where the user has
    settings of their own (`MALLOC_...`, `GLIBC_TUNABLES`). The same from outside:
    `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_TOP_PAD_=67108864`.

    Returns:
        Whether glibc took the settings.
    """
    if platform.libc_ver()[0] != "glibc" or _is_set_by_user():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = (
        (_MMAP_MAX, 0),
        (_TRIM_THRESHOLD, _NOT_BEFORE_BYTES),
        (_TOP_PAD, _AT_ONCE_BYTES),
    )
    taken = [mallopt(name, value) == 1 for name, value in settings]
    return all(taken)


def _is_set_by_user() -> bool:
    own = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    return any(name.startswith(own) for name in os.environ)

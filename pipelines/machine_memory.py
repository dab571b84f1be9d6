"""Memory that this process may use: the machine's, or less where it lives in a container.

Linux limits memory by control groups. A group's parents limit it too, so the lowest limit on the
way up counts. Version 2 lies under `/sys/fs/cgroup`, version 1 under `/sys/fs/cgroup/memory`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_GROUPS: Final = "sys/fs/cgroup"


def usable_memory_bytes(root: Path = Path("/")) -> int:
    """The machine's memory, or the lowest limit that is set on this process.

    Args:
        root: where `proc` and `sys` lie.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield from _on_the_way_up(root / _GROUPS, group, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _on_the_way_up(root / _GROUPS / "memory", group, "memory.limit_in_bytes")


def _on_the_way_up(top: Path, group: str, file: str) -> Iterator[int]:
    """A container may see only its own group, and that as the top: what is not there is skipped."""
    inside = PurePosixPath(group.lstrip("/"))
    if ".." in inside.parts:  # outside of what this container sees
        inside = PurePosixPath()
    for folder in (inside, *inside.parents):
        value = _text(top / folder / file).strip()
        if value.isdecimal():  # not "max"
            yield int(value)


def _text(file: Path) -> str:
    """Nothing where there is no such file, or no right to read it."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""

"""A process in a container has the container's memory, not the machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.machine_memory import usable_memory_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
V1_WITHOUT_LIMIT = "9223372036854771712\n"
MIB = 2**20


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": f"{512 * MIB}\n"}, 512 * MIB),
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        (
            "0::/pods/one\n",
            {"pods/memory.max": f"{256 * MIB}\n", "pods/one/memory.max": "max\n"},
            256 * MIB,
        ),
        (
            "0::/pods/one\n",
            {"pods/memory.max": f"{256 * MIB}\n", "pods/one/memory.max": f"{128 * MIB}\n"},
            128 * MIB,
        ),
        (
            "4:cpu,memory:/docker/one\n0::/\n",  # the container sees its own group as the top
            {"memory/memory.limit_in_bytes": f"{64 * MIB}\n"},
            64 * MIB,
        ),
        ("4:memory:/\n0::/\n", {"memory/memory.limit_in_bytes": V1_WITHOUT_LIMIT}, MACHINE),
        ("0::/../../other\n", {"memory.max": f"{32 * MIB}\n"}, 32 * MIB),
        ("3:cpu:/\n", {"memory/memory.limit_in_bytes": f"{MIB}\n"}, MACHINE),
    ],
    ids=["v2", "v2 without", "v2 parent", "v2 own", "v1", "v1 without", "outside", "no memory"],
)
def test_the_lowest_limit_on_the_way_up_counts(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int
) -> None:
    contents = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in (contents | {"proc/self/cgroup": groups}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_memory_bytes(tmp_path) == expected


def test_without_control_groups_it_is_the_machine_s(tmp_path: Path) -> None:
    assert usable_memory_bytes(tmp_path) == MACHINE
    assert 0 < usable_memory_bytes() <= MACHINE

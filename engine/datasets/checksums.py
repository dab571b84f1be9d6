"""SHA256SUMS: what `sha256sum --check` reads, for every file of a data set."""

from __future__ import annotations

import hashlib
from typing import Final

from pipelines.lock import LEASE_FILE, LOCK_FILE
from pipelines.storage import TEMPORARY, Folder

CHECKSUMS_FILE: Final = "SHA256SUMS"
BLOCK_BYTES: Final = 2**20
_NO_PART_OF_IT: Final = frozenset({CHECKSUMS_FILE, LOCK_FILE, LEASE_FILE})


def write_checksums(folder: Folder) -> None:
    """Writes the sums of all files that are there."""
    folder.write(CHECKSUMS_FILE, checksums(folder))


def checksums(folder: Folder) -> bytes:
    """The sums of all files but of themselves, as `sha256sum` reads them."""
    lines = [f"{digest_of(folder, name)}  {name}" for name in files_of(folder)]
    return ("\n".join(lines) + "\n").encode()


def wrong_files(folder: Folder) -> list[str]:
    """Files that are gone or not what they were when the sums were written.

    Raises:
        FileNotFoundError: if there are no sums.
    """
    wrong = []
    for line in folder.read(CHECKSUMS_FILE).decode().splitlines():
        digest, _, name = line.partition("  ")
        if not folder.exists(name) or digest_of(folder, name) != digest:
            wrong.append(name)
    return wrong


def files_of(folder: Folder) -> list[str]:
    """Names of all files below, sorted, without the sums themselves and the folder's lock."""
    prefix = folder.root.rstrip("/") + "/"
    found = (path[len(prefix) :] for path in folder.filesystem.find(folder.root))
    return sorted(
        name for name in found if name not in _NO_PART_OF_IT and not name.startswith(TEMPORARY)
    )


def digest_of(folder: Folder, name: str) -> str:
    """64 hex digits of a file."""
    state = hashlib.sha256()
    with folder.open(name) as file:
        while block := file.read(BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()

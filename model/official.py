"""The official checkpoints: names, where to get them, and getting them. No torch.

Address and files are those of the Segment Anything repository's README (Apache-2.0 weights).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from model.errors import CheckpointError

OFFICIAL_ADDRESS: Final = "https://dl.fbaipublicfiles.com/segment_anything"
_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 30.0

Progress = Callable[[int, int], None]
"""Called with bytes so far and bytes in all."""


@dataclass(frozen=True)
class OfficialCheckpoint:
    """One published file, named by its architecture."""

    architecture: str
    file_name: str
    size_bytes: int
    sha256: str


OFFICIAL_CHECKPOINTS: Final[Mapping[str, OfficialCheckpoint]] = MappingProxyType(
    {
        "sam_vit_b": OfficialCheckpoint(
            "vit_b",
            "sam_vit_b_01ec64.pth",
            375_042_383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        "sam_vit_l": OfficialCheckpoint(
            "vit_l",
            "sam_vit_l_0b3195.pth",
            1_249_524_607,
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        "sam_vit_h": OfficialCheckpoint(
            "vit_h",
            "sam_vit_h_4b8939.pth",
            2_564_550_879,
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
    }
)


def cache_folder() -> Path:
    """Where fetched checkpoints are kept: MASK_ENGINE_CACHE, or ~/.cache/mask-engine."""
    chosen = os.environ.get("MASK_ENGINE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "mask-engine"


def cached_path(name: str) -> Path:
    """Where the official checkpoint `name` stands once it is fetched."""
    return cache_folder() / OFFICIAL_CHECKPOINTS[name].file_name


def fetch_checkpoint(
    name: str, progress: Progress | None = None, *, address: str = OFFICIAL_ADDRESS
) -> Path:
    """Download an official checkpoint into the cache, unless it is there already.

    The file appears under its name only when it is whole and its checksum is right, so an
    interrupted download leaves nothing that a later run could mistake for a checkpoint.

    Raises:
        CheckpointError: unknown name, no connection, or the file is not the published one.
    """
    if name not in OFFICIAL_CHECKPOINTS:
        known = ", ".join(OFFICIAL_CHECKPOINTS)
        raise CheckpointError(f"no official checkpoint is called {name!r}: expected one of {known}")
    entry, target = OFFICIAL_CHECKPOINTS[name], cached_path(name)
    if target.is_file() and target.stat().st_size == entry.size_bytes:
        return target
    source = f"{address}/{entry.file_name}"
    with _open_beside(target) as part:
        try:
            digest = _download(source, part, entry.size_bytes, progress, target)
            _check_digest(digest, entry, source)
            part.close()
            os.replace(part.name, target)
        finally:
            Path(part.name).unlink(missing_ok=True)
    return target


def _open_beside(target: Path) -> tempfile._TemporaryFileWrapper[bytes]:
    """A new file in the target's folder, so that the rename stays within one file system."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.NamedTemporaryFile(dir=target.parent, prefix=".fetch-", delete=False)
    except OSError as error:
        raise CheckpointError(
            f"cannot write to the cache folder {target.parent}: {error}. Set MASK_ENGINE_CACHE to "
            "a folder that can be written"
        ) from error


def _download(
    source: str, part: IO[bytes], size_bytes: int, progress: Progress | None, target: Path
) -> str:
    """Stream `source` into `part`; returns the sha256. Stops as soon as it is too long."""
    digest, done = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS) as response:
            while chunk := response.read(_CHUNK_BYTES):
                done += len(chunk)
                if done > size_bytes:
                    break
                digest.update(chunk)
                part.write(chunk)
                if progress is not None:
                    progress(done, size_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise CheckpointError(
            f"cannot fetch {source}: {error}. Without a connection, download it elsewhere and put "
            f"it at {target}, or give its path as the checkpoint"
        ) from error
    if done != size_bytes:
        found = f"more than {size_bytes:,}" if done > size_bytes else f"{done:,}"
        raise CheckpointError(
            f"{source} has {found} bytes, expected {size_bytes:,}: the download was cut short or "
            "is not the published file; try again"
        )
    return digest.hexdigest()


def _check_digest(digest: str, entry: OfficialCheckpoint, source: str) -> None:
    if digest != entry.sha256:
        raise CheckpointError(
            f"{source} has sha256 {digest}, expected {entry.sha256}: not the published file; "
            "try again, and if it stays so, something between you and it changes files"
        )

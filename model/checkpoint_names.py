"""Checkpoints by name: which there are, and which file a name or a path means. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.errors import CheckpointError
from model.official import OFFICIAL_CHECKPOINTS, cached_path

STARTER: Final = "starter"
_STARTER_PATH: Final = Path(__file__).parent / "weights" / "starter.safetensors"
_SUFFIXES: Final = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class NamedCheckpoint:
    """A checkpoint that can be asked for by name; `path` is where it stands, or will stand."""

    name: str
    path: Path
    size_bytes: int | None

    @property
    def available(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()


def named_checkpoints() -> tuple[NamedCheckpoint, ...]:
    """Every name, the packaged one first; official ones that were not fetched have no file."""
    starter_bytes = _STARTER_PATH.stat().st_size if _STARTER_PATH.is_file() else None
    official = (
        NamedCheckpoint(name, cached_path(name), entry.size_bytes)
        for name, entry in OFFICIAL_CHECKPOINTS.items()
    )
    return NamedCheckpoint(STARTER, _STARTER_PATH, starter_bytes), *official


def checkpoint_path(path_or_name: str | os.PathLike[str]) -> Path:
    """The file that a name or a path means.

    Raises:
        CheckpointError: no such file, or a name that nobody knows or that was not fetched yet.
    """
    given = os.fspath(path_or_name)
    for known in named_checkpoints():
        if given == known.name:
            return _existing(known)
    path = Path(given).expanduser()
    if path.is_file():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is not a file: give the checkpoint file itself")
    if path.suffix in _SUFFIXES or path.name != given:
        raise CheckpointError(f"there is no checkpoint file {path}")
    names = ", ".join(known.name for known in named_checkpoints())
    raise CheckpointError(
        f"no checkpoint is called {given!r} and there is no such file: expected one of {names}, "
        "or a path"
    )


def _existing(known: NamedCheckpoint) -> Path:
    if known.available:
        _check_size(known)
        return known.path
    if known.name == STARTER:
        raise CheckpointError(
            f"the packaged checkpoint {known.path} is missing: install mask-engine again, or give "
            "another checkpoint"
        )
    raise CheckpointError(
        f"{known.name} was not fetched yet: run `mask-engine checkpoints fetch {known.name}` "
        f"({known.size_bytes or 0:,} bytes), or put the file at {known.path}"
    )


def _check_size(known: NamedCheckpoint) -> None:
    found = known.path.stat().st_size
    if found != known.size_bytes:
        raise CheckpointError(
            f"{known.path} has {found:,} bytes, {known.name} has {known.size_bytes:,}: delete it "
            f"and run `mask-engine checkpoints fetch {known.name}`"
        )

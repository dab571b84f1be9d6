"""An export's folder appears whole or not at all, and never over somebody else's files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from model.errors import ConfigurationError, StopError

MARKER_FILE: Final = "export.json"
MARKER_KIND: Final = "mask-engine export"


@contextlib.contextmanager
def export_folder(out: str, export_format: str) -> Iterator[Path]:
    """A folder to fill that gets its name when the block ends, and is gone if it fails.

    An earlier export of the same format is replaced; anything else that is there is refused.

    Raises:
        ConfigurationError: if `out` is a file, holds something else, or cannot be written.
        StopError: if the disk is full.
    """
    target = Path(out).expanduser().absolute()
    refuse_foreign(target, export_format)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        working = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ConfigurationError(
            f"{out}: cannot be written ({error}). Nothing was started; give another --out."
        ) from error
    try:
        working.chmod(0o755)  # mkdtemp lets only the owner in; an export is made to be read
        yield working
        _put_in_place(working, target)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StopError(
            f"{target.parent}: the disk is full. The unfinished export was removed; make room and "
            "run the same command again."
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)


def refuse_foreign(target: Path, export_format: str) -> None:
    """Checks that nothing would be lost.

    Raises:
        ConfigurationError: if the folder holds something else than an export of this format.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigurationError(f"{target}: is a file, and an export needs a folder")
    names = sorted(entry.name for entry in target.iterdir())
    if not names:
        return
    found = read_marker(target)
    if found.get("kind") != MARKER_KIND:
        raise ConfigurationError(
            f"{target}: holds other things ({', '.join(names[:3])}), so nothing was written. "
            "Give an empty folder, or a new one, as --out."
        )
    if found.get("format") != export_format:
        raise ConfigurationError(
            f"{target}: holds an export as {found.get('format')}, and this one is {export_format}. "
            "Nothing was written; give another --out, or delete the old export."
        )


def write_marker(folder: Path, content: dict[str, Any]) -> None:
    """Notes what the export is, of which run, and what its format could not hold."""
    text = json.dumps({"kind": MARKER_KIND} | content, indent=2, ensure_ascii=False)
    (folder / MARKER_FILE).write_text(text + "\n", encoding="utf-8")


def read_marker(folder: Path) -> dict[str, Any]:
    """The marker of an export, or nothing where there is none."""
    try:
        found = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _put_in_place(working: Path, target: Path) -> None:
    """Renames; an earlier export steps aside first, and is removed once the new one stands."""
    if not target.exists():
        os.rename(working, target)
        return
    aside = target.parent / f"{working.name}.old"
    os.rename(target, aside)
    try:
        os.rename(working, target)
    except OSError:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside)

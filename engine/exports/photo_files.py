"""The photos themselves beside their masks: upright, without EXIF, read from shard or source."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from model.errors import RecordError
from pipelines.reading import read_photo
from stages.photos import PhotoLimits
from stages.records import ImageRow
from stages.upright import upright_file

_EXTENSIONS: Final = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
}


def write_photo(row: ImageRow, target_without_extension: Path, limits: PhotoLimits) -> Path:
    """Writes a row's photo as its masks see it.

    Raises:
        RecordError: if the photo cannot be read (any more), or has changed since the run.
    """
    data = row.image if row.image is not None else upright_file(_unchanged(row, limits), limits)
    extension = next((e for start, e in _EXTENSIONS.items() if data.startswith(start)), ".img")
    target = target_without_extension.with_name(target_without_extension.name + extension)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def _unchanged(row: ImageRow, limits: PhotoLimits) -> bytes:
    data = read_photo(row.ref.uri, limits)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise RecordError("changed", f"{row.ref.path}: the photo has changed since the run")
    return data

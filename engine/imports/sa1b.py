"""Reads SA-1B's layout: a JSON file for each photo, read one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from engine.exports.folder import MARKER_FILE
from engine.imports.annotated import AnnotatedPhoto, Annotation
from engine.imports.json_files import box, number, parse_object, points, whole
from model.errors import ConfigurationError, RecordError


class Sa1bReader:
    """Every `.json` file below a folder is one photo, named as the file says.

    A photo's path is that of its JSON's folder and the file name in it; where the JSON cannot be
    read, the JSON's own path stands in, and the photo becomes a row with that error.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder).expanduser()
        self._digest = hashlib.blake2b(digest_size=16)
        if not self._folder.is_dir():
            raise ConfigurationError(f"{folder}: no such folder; SA-1B has a JSON for each photo")

    def paths(self) -> Sequence[str]:
        """Of all photos; of several files that describe the same one, the first is taken."""
        return sorted(self._files)

    def read(self, path: str) -> AnnotatedPhoto:
        """Reads the photo's file."""
        file = self._files[path]
        try:
            return _photo(path, parse_object(file.read_bytes(), file.name))
        except RecordError as error:
            return AnnotatedPhoto(path, trouble=str(error))

    def digest(self) -> str:
        """Of the names and bytes of all files."""
        self.paths()
        return self._digest.hexdigest()

    @cached_property
    def _files(self) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for file in sorted(self._folder.rglob("*.json")):
            if file.name != MARKER_FILE:
                files.setdefault(self._photo_path(file), file)
        if not files:
            raise ConfigurationError(f"{self._folder}: no .json files in it or below it")
        return files

    def _photo_path(self, file: Path) -> str:
        relative = PurePosixPath(file.relative_to(self._folder).as_posix())
        data = file.read_bytes()
        self._digest.update(str(relative).encode() + b"\0" + data)
        try:
            image = parse_object(data, file.name).get("image")
        except RecordError:
            return str(relative)
        name = image.get("file_name") if isinstance(image, dict) else None
        return str(relative.parent / name) if isinstance(name, str) and name else str(relative)


def _photo(path: str, document: dict[str, Any]) -> AnnotatedPhoto:
    image, annotations = document.get("image"), document.get("annotations")
    if not isinstance(image, dict) or not isinstance(annotations, list):
        return AnnotatedPhoto(path, trouble="no 'image' and 'annotations', so not SA-1B's format")
    return AnnotatedPhoto(
        path=path,
        width=whole(image.get("width")),
        height=whole(image.get("height")),
        annotations=tuple(_annotation(item) for item in annotations),
    )


def _annotation(item: Any) -> Annotation:
    if not isinstance(item, dict):
        return Annotation(segmentation=None)
    return Annotation(
        segmentation=item.get("segmentation"),
        predicted_iou=number(item.get("predicted_iou")),
        stability_score=number(item.get("stability_score")),
        crop_box=box(item.get("crop_box")),
        point_coords=points(item.get("point_coords")),
    )

"""Reads COCO's instance format: one JSON file for all photos, held in memory while it is used."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.exports.folder import MARKER_FILE
from engine.exports.numbers import UNNAMED
from engine.imports.annotated import AnnotatedPhoto, Annotation
from engine.imports.json_files import identifier, items, number, parse_object, whole
from model.errors import ConfigurationError, RecordError


class CocoReader:
    """The photos and masks of one COCO file, found in a folder or given by itself."""

    def __init__(self, address: str) -> None:
        self._file = annotation_file(Path(address).expanduser())

    def paths(self) -> Sequence[str]:
        """The `file_name` of every photo."""
        return sorted(self._photos)

    def read(self, path: str) -> AnnotatedPhoto:
        """A photo from memory."""
        image = self._photos[path]
        found = self._by_image[identifier(image.get("id"))]
        return AnnotatedPhoto(
            path=path,
            width=whole(image.get("width")),
            height=whole(image.get("height")),
            annotations=tuple(self._annotation(item) for item in found),
        )

    def digest(self) -> str:
        """Of the file's bytes."""
        with self._file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def _document(self) -> dict[str, Any]:
        try:
            return parse_object(self._file.read_bytes(), self._file.name)
        except (OSError, RecordError) as error:
            raise ConfigurationError(f"{self._file}: {error}") from error

    @cached_property
    def _photos(self) -> dict[str, dict[str, Any]]:
        photos: dict[str, dict[str, Any]] = {}
        for image in items(self._document, "images", str(self._file)):
            name = image.get("file_name")
            if not isinstance(name, str) or not name:
                raise ConfigurationError(f"{self._file}: image {image.get('id')} has no file_name")
            if name in photos:
                raise ConfigurationError(f"{self._file}: {name!r} is there twice")
            photos[name] = image
        if not photos:
            raise ConfigurationError(f"{self._file}: no images in it")
        return photos

    @cached_property
    def _by_image(self) -> dict[Any, list[dict[str, Any]]]:
        known = {identifier(image.get("id")) for image in self._photos.values()}
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for item in items(self._document, "annotations", str(self._file)):
            image = identifier(item.get("image_id"))
            if image not in known:
                raise ConfigurationError(
                    f"{self._file}: annotation {item.get('id')} belongs to image "
                    f"{item.get('image_id')}, which is not there"
                )
            by_image[image].append(item)
        return by_image

    @cached_property
    def _categories(self) -> dict[Any, str]:
        if "categories" not in self._document:
            return {}
        categories = items(self._document, "categories", str(self._file))
        return {identifier(item.get("id")): str(item.get("name")) for item in categories}

    def _annotation(self, item: dict[str, Any]) -> Annotation:
        name = self._categories.get(identifier(item.get("category_id")))
        return Annotation(
            segmentation=item.get("segmentation"),
            category=None if name == UNNAMED else name,
            crowd=item.get("iscrowd") in (1, True),
            predicted_iou=number(item.get("predicted_iou", item.get("score"))),
            stability_score=number(item.get("stability_score")),
        )


def annotation_file(address: Path) -> Path:
    """The COCO file that an address means.

    Raises:
        ConfigurationError: if there is none, or more than one to choose from.
    """
    if address.is_file():
        return address
    if not address.is_dir():
        raise ConfigurationError(f"{address}: no such file or folder")
    for folder in (address, address / "annotations"):
        found = [file for file in sorted(folder.glob("*.json")) if file.name != MARKER_FILE]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:4])
            raise ConfigurationError(f"{folder}: several JSON files ({names}); give the one meant")
    raise ConfigurationError(f"{address}: no .json file in it, nor in annotations/ below it")

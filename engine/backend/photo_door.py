"""The only way from a task to a photo's bytes: what the operator named may be read, nothing else.

A task's own photo id is looked up among the photos that were listed when the service started, so
what is opened is an address of ours and never one out of a request. Tasks of other makers carry
only an address; it counts if it lies in an allowed place. Both are checked again where the file
really is (links resolved) when it is opened.
"""

from __future__ import annotations

import os
import posixpath
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.backend.errors import RequestError
from engine.backend.http_photos import read_http_photo
from engine.backend.labels import IMAGE_ID_KEY
from model.errors import ConfigurationError, RecordError
from pipelines.reading import read_photo
from pipelines.sources import list_photos
from pipelines.storage import is_local, open_filesystem
from stages.ids import image_id
from stages.photos import PhotoLimits
from stages.records import ImageRef

# Label Studio's address of a file below its document root.
LOCAL_FILES: Final = "/data/local-files/"
# Photos may be added while the service runs; a foreign id must not make it list them all the time.
_SECONDS_BETWEEN_LISTINGS: Final = 30.0
_HTTP: Final = ("http", "https")


@dataclass(frozen=True)
class AllowedPlaces:
    """Where photos may lie.

    Attributes:
        folders: local folders, links resolved.
        files: single local files, in folders whose links are resolved: nothing beside them.
        prefixes: addresses with a protocol, each ending in `/`.
    """

    folders: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()

    @classmethod
    def of(cls, addresses: Sequence[str]) -> AllowedPlaces:
        """Sorts addresses of folders into local ones and others.

        Raises:
            ConfigurationError: if a local folder is not there.
        """
        addresses = [address.removeprefix("file://") for address in addresses]
        local = [address for address in addresses if "://" not in address]
        for folder in local:
            if not os.path.isdir(os.path.expanduser(folder)):
                raise ConfigurationError(f"{folder}: no such folder; photos in it were allowed")
        remote = tuple(a.rstrip("/") + "/" for a in addresses if "://" in a)
        return cls(tuple(os.path.realpath(os.path.expanduser(f)) for f in local), remote)

    def holds_file(self, path: str) -> bool:
        """Whether a local file, wherever links lead, is allowed, or lies in an allowed folder."""
        real = os.path.realpath(path)
        return real in self.files or any(_is_below(real, folder) for folder in self.folders)

    @property
    def roots(self) -> list[str]:
        """Local folders that hold something allowed."""
        beside = {posixpath.dirname(file) for file in self.files}
        return [*self.folders, *sorted(beside.difference(self.folders))]

    def prefix_of(self, address: str) -> str | None:
        """The allowed prefix that an address really lies under.

        Steps up and what might be read as one later are refused, and so is `::`, with which fsspec
        chains filesystems.
        """
        if "::" in address:
            return None
        path = urllib.parse.urlsplit(address).path
        decoded = urllib.parse.unquote(urllib.parse.unquote(path))
        if ".." in decoded.split("/") or "\\" in decoded or "%" in urllib.parse.unquote(path):
            return None
        return next((prefix for prefix in self.prefixes if address.startswith(prefix)), None)


@dataclass
class PhotoDoor:
    """Finds and reads photos.

    Attributes:
        source: the photos of the project (as `mask-engine auto` takes them), or None.
        source_name: the source's name, part of every id.
        allowed: other places that tasks may name.
    """

    source: str | None
    source_name: str | None = None
    allowed: AllowedPlaces = field(default_factory=AllowedPlaces)
    _listed: dict[str, ImageRef] = field(default_factory=dict, init=False)
    _by_uri: dict[str, ImageRef] = field(default_factory=dict, init=False)
    _listed_at: float = field(default=-_SECONDS_BETWEEN_LISTINGS, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def open(self) -> int:
        """Lists the photos, and says how many there are.

        Raises:
            ConfigurationError: if there is no such source, or nothing at all may be read.
        """
        if self.source is None and not (self.allowed.folders or self.allowed.prefixes):
            raise ConfigurationError(
                "no photo may be read: give the project's photos (PHOTOS), or allow a place with "
                "--allow"
            )
        if self.source is not None:
            self.allowed = _with_folder(self.allowed, self.source)
            self._list()
        return len(self._listed)

    def find(self, task_data: Mapping[str, Any], image_key: str) -> ImageRef:
        """The photo that a task is about; nothing is opened yet.

        Raises:
            RequestError: if it names none, or one that may not be read.
        """
        named = task_data.get(IMAGE_ID_KEY)
        if isinstance(named, str) and named:
            listed = self._lookup(named)
            if listed is not None:
                return listed
        address = task_data.get(image_key)
        if not isinstance(address, str) or not address:
            raise RequestError(400, f"the task has no photo in its field {image_key!r}")
        if address.startswith(LOCAL_FILES):
            return self._local_file(address)
        if "://" in address and not address.startswith("file:"):
            return self._remote(address)
        raise _not_allowed()

    def read(self, photo: ImageRef, limits: PhotoLimits) -> bytes:
        """The photo's file.

        Raises:
            RequestError: if it leads out of where photos may lie.
            RecordError: if it cannot be read.
        """
        if photo.uri.startswith(tuple(f"{scheme}://" for scheme in _HTTP)):
            return read_http_photo(photo.uri, limits)
        filesystem, path = _opened(photo.uri)
        if not is_local(filesystem):
            return read_photo(photo.uri, limits)
        real = os.path.realpath(path)
        if not self.allowed.holds_file(real):
            raise _not_allowed()
        return read_photo(real, limits)

    def _lookup(self, image: str) -> ImageRef | None:
        if image not in self._listed and self.source is not None:
            with self._lock:
                if time.monotonic() - self._listed_at > _SECONDS_BETWEEN_LISTINGS:
                    self._list()
        return self._listed.get(image)

    def _list(self) -> None:
        if self.source is not None:
            photos = list_photos(self.source, name=self.source_name)
            self._listed = {photo.image_id: photo for photo in photos}
            self._by_uri = {photo.uri: photo for photo in photos}
            self.allowed = replace(self.allowed, files=_single_files(self.source, photos))
            self._listed_at = time.monotonic()

    def _local_file(self, address: str) -> ImageRef:
        """A file below the document root; every allowed folder may be that root or lie in it."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
        relative = (query.get("d") or [""])[0]
        if not relative or "\0" in relative:
            raise _not_allowed()
        for folder in self.allowed.roots:
            for path in _possible_paths(folder, relative):
                if os.path.isfile(path) and self.allowed.holds_file(path):
                    real = os.path.realpath(path)
                    listed = self._by_uri.get(posixpath.normpath(path)) or self._by_uri.get(real)
                    return listed or _unlisted(folder, posixpath.relpath(real, folder), real)
        raise _not_allowed()

    def _remote(self, address: str) -> ImageRef:
        prefix = self.allowed.prefix_of(address)
        if prefix is None:
            raise _not_allowed()
        # A presigned address is another one each time it is signed; the photo is not.
        return _unlisted(prefix, address.removeprefix(prefix).partition("?")[0], address)


def _with_folder(allowed: AllowedPlaces, source: str) -> AllowedPlaces:
    """With the source, where that is a folder of this machine."""
    filesystem, path = open_filesystem(source)
    if not (is_local(filesystem) and filesystem.isdir(path)):
        return allowed
    return replace(allowed, folders=(*allowed.folders, os.path.realpath(path)))


def _single_files(source: str, photos: Sequence[ImageRef]) -> frozenset[str]:
    """Of a list or a glob, the files that it names and nothing beside them.

    Only folders' links are resolved: a file that is a link leads out, and is refused.
    """
    filesystem, path = open_filesystem(source)
    if is_local(filesystem) and filesystem.isdir(path):
        return frozenset()
    parts = (posixpath.split(photo.uri) for photo in photos if _is_path(photo.uri))
    return frozenset(posixpath.join(os.path.realpath(folder), name) for folder, name in parts)


def _is_path(uri: str) -> bool:
    return "://" not in uri


def _possible_paths(folder: str, relative: str) -> list[str]:
    """Where a file may be whose path begins somewhere above or at an allowed folder."""
    paths = [posixpath.join(folder, relative.lstrip("/"))]
    above = folder
    while above != "/":
        above = posixpath.dirname(above)
        paths.append(posixpath.join(above, relative.lstrip("/")))
    return paths


def _unlisted(place: str, path: str, uri: str) -> ImageRef:
    """A photo that is in no list; the whole place is its source, so that no two have one id."""
    source = place.rstrip("/")
    return ImageRef(image_id(source, path), source, path, uri)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _opened(uri: str) -> tuple[Any, str]:
    try:
        return open_filesystem(uri)
    except ConfigurationError as error:
        raise RecordError("unreadable", str(error)) from error


def _not_allowed() -> RequestError:
    return RequestError(
        403,
        "the task's photo is none of this service's photos: start it with the folder that holds "
        "them, or allow the place with --allow",
    )

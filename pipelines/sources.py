"""Where photos come from: a folder, a glob, a list of addresses, or any of them behind a URL.

Lists only; nothing is opened but the list. Every file whose name says photo is listed, so that
what cannot be read later becomes a row with its error and not a silent gap.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from typing import Any, Final

from model.errors import ConfigurationError
from pipelines.storage import is_local, open_filesystem
from stages.ids import image_id
from stages.photos import EXTENSIONS
from stages.records import ImageRef

LIST_EXTENSION: Final = ".txt"
GLOB_CHARACTERS: Final = frozenset("*?[")


def list_photos(source: str, *, name: str | None = None) -> list[ImageRef]:
    """Every photo of a source, sorted by path.

    Args:
        source: a folder (read with everything below it; links are followed, each folder is
            read once, names that begin with a dot are skipped), a glob (`photos/**/*.jpg`), a
            `.txt` file with one address a line, one photo, or any of these as an fsspec URL.
        name: the source's name, which makes the ids; the last part of its address by default.

    Raises:
        ConfigurationError: if the source is not there, cannot be listed or holds no photos.
    """
    filesystem, path = open_filesystem(source)
    filesystem.invalidate_cache()
    is_glob = bool(GLOB_CHARACTERS.intersection(path)) and not filesystem.exists(path)
    source_name = name or _default_name(source, _before_glob(path) if is_glob else path)
    try:
        listed = dict(_listed(filesystem, path, source, is_glob=is_glob))
    except PermissionError as error:
        raise ConfigurationError(
            f"{source}: cannot be listed ({error}). Photos in it would be missed without a word, "
            "so nothing was started; give this user the right to read it."
        ) from error
    if not listed:
        raise ConfigurationError(
            f"{source}: no photos in it. Files are taken by their extension "
            f"({', '.join(sorted(EXTENSIONS))}, in any case); give a folder, a glob, or a "
            f"{LIST_EXTENSION} file with one address a line."
        )
    return [
        ImageRef(image_id(source_name, photo), source_name, photo, listed[photo])
        for photo in sorted(listed)
    ]


def source_address(source: str) -> str:
    """The source's address written in full, so that it means the same from every folder."""
    return source if "://" in source else open_filesystem(source)[1]


def _listed(filesystem: Any, path: str, source: str, *, is_glob: bool) -> Iterator[tuple[str, str]]:
    """(path relative to the source, address) of each photo."""
    if filesystem.isdir(path):
        walk = _walk_local if is_local(filesystem) else _walk_remote
        for found in walk(filesystem, path):
            yield _relative(found, path), _address(filesystem, found)
    elif filesystem.isfile(path):
        if path.lower().endswith(LIST_EXTENSION):
            yield from _read_list(filesystem, path)
        else:
            yield posixpath.basename(path), _address(filesystem, path)
    elif is_glob:
        base = _before_glob(path)
        for found in filesystem.glob(path):
            if _is_photo(found) and not filesystem.isdir(found):
                yield _relative(found, base), _address(filesystem, found)
    else:
        raise ConfigurationError(
            f"{source}: no such folder, file or glob. Nothing was started; check the spelling."
        )


def _walk_local(_filesystem: Any, root: str) -> Iterator[str]:
    """Photos below a folder; folders that are links come last, and none is read twice.

    Real folders come first so that a photo keeps its real path when a link leads to it as well;
    remembering where each folder really is ends every loop.
    """
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        linked: list[str] = []
        for start in sorted(waiting):
            yield from _walk_without_links(start, seen, linked)
        waiting = linked


def _walk_without_links(start: str, seen: set[str], linked: list[str]) -> Iterator[str]:
    for folder, folders, files in os.walk(start, onerror=_refuse):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(child for child in folders if not child.startswith("."))
        linked += [
            os.path.join(folder, child)
            for child in folders
            if os.path.islink(os.path.join(folder, child))
        ]
        yield from (os.path.join(folder, file) for file in files if _is_photo(file))


def _refuse(error: OSError) -> None:
    raise error


def _walk_remote(filesystem: Any, root: str) -> Iterator[str]:
    for found in filesystem.find(root):
        parts = _relative(found, root).split("/")
        if _is_photo(found) and not any(part.startswith(".") for part in parts):
            yield found


def _read_list(filesystem: Any, path: str) -> Iterator[tuple[str, str]]:
    """Addresses of a list, one a line; empty lines and lines that begin with `#` are skipped."""
    try:
        text = filesystem.cat_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: a list of addresses must be UTF-8 text, one address a line ({error})."
        ) from error
    for line in text.split("\n"):
        address = line.strip()
        if address and not address.startswith("#"):
            yield address, _beside(filesystem, path, address)


def _beside(filesystem: Any, list_path: str, address: str) -> str:
    """A relative address in a list is relative to the list, not to where the command runs."""
    if "://" in address or address.startswith("/"):
        return address
    joined = posixpath.join(posixpath.dirname(list_path), os.path.expanduser(address))
    return _address(filesystem, posixpath.normpath(joined))


def _relative(path: str, root: str) -> str:
    """Path below the root; bytes of a name that are not UTF-8 are written as escapes."""
    relative = path[len(root.rstrip("/")) :].lstrip("/")
    return _text(relative)


def _text(path: str) -> str:
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def _address(filesystem: Any, path: str) -> str:
    if is_local(filesystem):
        return _text(path)
    return str(filesystem.unstrip_protocol(path))


def _is_photo(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS


def _before_glob(path: str) -> str:
    """The folders of a glob before its first wildcard."""
    parts = path.split("/")
    plain = next(i for i, part in enumerate(parts) if GLOB_CHARACTERS.intersection(part))
    return "/".join(parts[:plain])


def _default_name(source: str, path: str) -> str:
    """Last part of the path, or the protocol where the path is a filesystem's root."""
    last = path.rstrip("/").rsplit("/", 1)[-1]
    return last or source.split("://", 1)[0].strip("/") or "photos"

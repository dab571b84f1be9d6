"""Embeddings on disk, so that a click waits for no image encoder.

One file a photo and model, `<model_id>/<first two digits>/<image_id>.embedding`: another
checkpoint looks in another folder, so old embeddings are not found rather than wrong. A file is a
line of JSON, then the embedding's bytes with the four bytes of its numbers sorted apart (which is
what makes them compressible) and packed with zstd, without loss.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.errors import ConfigurationError
from pipelines.storage import TEMPORARY, Folder, is_local

LOGGER = logging.getLogger(__name__)

SUFFIX: Final = ".embedding"
_FORMAT: Final = "mask-engine stored embedding 1"
_NUMBER_BYTES: Final = 4
_MOST_HEAD_BYTES: Final = 10_000
_ID: Final = re.compile(r"[0-9a-f]{32}")
# A full store is emptied a little further, so that not every new file makes it tidy up.
_KEEP_SHARE: Final = 0.9


@dataclass(frozen=True)
class StoredEmbedding:
    """What the store holds of one photo.

    Attributes:
        data: what `Embedding.to_bytes` gave.
        sha256: of the photo's file that was embedded.
        stamp: of that file (`pipelines.reading.stamp_of`), by which a photo that was replaced
            under its name is noticed; empty where there is none.
    """

    data: bytes
    sha256: str
    stamp: str = ""

    def is_of(self, stamp: str) -> bool:
        """Whether it may be of the file that has this stamp now."""
        return same_file(self.stamp, stamp)


def same_file(before: str, now: str) -> bool:
    """Whether two stamps may be of the same file; one that is empty says nothing."""
    return not before or not now or before == now


class EmbeddingStore:
    """Embeddings of one model in a folder, local or on any fsspec filesystem. Thread-safe.

    Args:
        address: of the folder; made when the first embedding is written.
        model_id: the model whose embeddings are read and written.
        max_bytes: of all files, of all models; the ones used longest ago go first.

    Raises:
        ConfigurationError: if a limit is asked for on a store that is not on this machine.
    """

    def __init__(self, address: str, model_id: str, *, max_bytes: int | None = None) -> None:
        self._folder = Folder(address)
        self._model_id = model_id
        self._max_bytes = max_bytes
        self._held_bytes: int | None = None
        self._lock = threading.Lock()
        if max_bytes is not None and not is_local(self._folder.filesystem):
            raise ConfigurationError(
                f"{address}: a store that is not on this machine cannot be kept under a limit, "
                "because its files do not say when they were used. Set no limit, or use a folder."
            )

    @property
    def address(self) -> str:
        """Of the folder."""
        return self._folder.address

    def ids(self) -> set[str]:
        """The photos that are there."""
        return {
            name.removesuffix(SUFFIX)
            for shelf in self._folder.names(self._model_id)
            for name in self._folder.names(f"{self._model_id}/{shelf}")
            if name.endswith(SUFFIX)
        }

    def stamp(self, image_id: str) -> str:
        """The stamp of the file that was embedded; only the head is read. Empty if unknown."""
        try:
            with self._folder.open(self._name(image_id)) as file:
                return str(json.loads(file.readline(_MOST_HEAD_BYTES)).get("stamp", ""))
        except (OSError, ValueError, AttributeError):
            return ""

    def read(self, image_id: str) -> StoredEmbedding | None:
        """A photo's embedding, or None where there is none that can be read."""
        name = self._name(image_id)
        try:
            packed = self._folder.read(name)
            stored = _unpack(packed, image_id, self._model_id)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            LOGGER.warning("%s/%s: passed over (%s)", self.address, name, error)
            return None
        self._note_use(name)
        return stored

    def write(self, image_id: str, stored: StoredEmbedding) -> None:
        """Writes a photo's embedding whole, and forgets others where there is no room for all.

        Raises:
            StopError: if the disk is full.
            ShardError: if the file cannot be written.
        """
        packed = _pack(stored, image_id, self._model_id)
        self._folder.write(self._name(image_id), packed)
        if self._max_bytes is not None:
            with self._lock:
                self._make_room(len(packed), self._max_bytes)

    def tidy(self) -> None:
        """Removes what a killed writer left half-written."""
        self._folder.remove(TEMPORARY)

    def _name(self, image_id: str) -> str:
        if not _ID.fullmatch(image_id):
            raise ValueError(f"{image_id!r} is not an image id (32 hex digits)")
        return f"{self._model_id}/{image_id[:2]}/{image_id}{SUFFIX}"

    def _note_use(self, name: str) -> None:
        if self._max_bytes is not None:
            try:
                os.utime(self._folder.path(name))
            except OSError as error:
                LOGGER.debug("%s: its time of use cannot be noted (%s)", name, error)

    def _make_room(self, written_bytes: int, max_bytes: int) -> None:
        """Counts what was written, and looks at the files themselves only when it is too much."""
        if self._held_bytes is not None:
            self._held_bytes += written_bytes
            if self._held_bytes <= max_bytes:
                return
        files = _files_by_use(self._folder.root)
        held = sum(size for _, size, _ in files)
        limit = max_bytes if held <= max_bytes else max_bytes * _KEEP_SHARE
        for _, size, path in files:
            if held <= limit:
                break
            held -= _remove(path, size)
        self._held_bytes = held


def _files_by_use(root: str) -> list[tuple[float, int, str]]:
    """(time of use, bytes, path) of every embedding, the one used longest ago first."""
    found: list[tuple[float, int, str]] = []
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(SUFFIX):
                path = os.path.join(folder, name)
                try:
                    status = os.stat(path)
                except FileNotFoundError:  # another process tidies up as well
                    continue
                found.append((status.st_mtime, status.st_size, path))
    return sorted(found)


def _remove(path: str, size: int) -> int:
    try:
        os.remove(path)
    except FileNotFoundError:
        LOGGER.debug("%s: another process removed it", path)
    return size


def _pack(stored: StoredEmbedding, image_id: str, model_id: str) -> bytes:
    head = {
        "format": _FORMAT,
        "image_id": image_id,
        "model_id": model_id,
        "sha256": stored.sha256,
        "bytes": len(stored.data),
        "stamp": stored.stamp,
    }
    body = pa.compress(_sorted_apart(stored.data), codec="zstd", asbytes=True)
    return json.dumps(head).encode() + b"\n" + bytes(body)


def _unpack(packed: bytes, image_id: str, model_id: str) -> StoredEmbedding:
    line, _, body = packed.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    expected = {"format": _FORMAT, "image_id": image_id, "model_id": model_id}
    found = {key: head.get(key) for key in expected}
    if found != expected:
        raise ValueError(f"it says {found}, expected {expected}")
    size: int = head["bytes"]
    padded = size + -size % _NUMBER_BYTES
    data = pa.decompress(body, decompressed_size=padded, codec="zstd", asbytes=True)
    return StoredEmbedding(_put_together(data)[:size], head["sha256"], head.get("stamp", ""))


def _sorted_apart(data: bytes) -> bytes:
    """All first bytes of four, then all second ones, ...: sign and exponent hardly change."""
    padded = data + bytes(-len(data) % _NUMBER_BYTES)
    return np.frombuffer(padded, np.uint8).reshape(-1, _NUMBER_BYTES).T.tobytes()


def _put_together(data: bytes) -> bytes:
    return np.frombuffer(data, np.uint8).reshape(_NUMBER_BYTES, -1).T.tobytes()

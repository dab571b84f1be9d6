from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from model.errors import ConfigurationError
from pipelines.embedding_store import EmbeddingStore, StoredEmbedding
from stages.ids import image_id

MODEL = "d15c" * 4


def photo(number: int) -> str:
    return image_id("photos", f"{number}.jpg")


def stored(size: int = 1000, seed: int = 0) -> StoredEmbedding:
    data = np.random.default_rng(seed).normal(size=size).astype("<f4").tobytes()
    return StoredEmbedding(data, "ab" * 32)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.embedding"))


@pytest.mark.parametrize("data", [b"", b"1", b"12345", bytes(range(256)) * 7])
def test_bytes_come_back_as_they_were(tmp_path: Path, data: bytes) -> None:
    store = EmbeddingStore(str(tmp_path), MODEL)
    store.write(photo(1), StoredEmbedding(data, "ab" * 32))

    assert store.read(photo(1)) == StoredEmbedding(data, "ab" * 32)
    assert store.ids() == {photo(1)}


def test_numbers_take_less_room_than_they_have_bytes(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), MODEL)
    store.write(photo(1), stored(100_000))

    assert files(tmp_path)[0].stat().st_size < 0.92 * 400_000


def test_another_model_finds_nothing_and_spoils_nothing(tmp_path: Path) -> None:
    old, new = (EmbeddingStore(str(tmp_path), model) for model in (MODEL, "e" * 16))
    old.write(photo(1), stored(seed=1))

    assert new.read(photo(1)) is None
    assert new.ids() == set()
    new.write(photo(1), stored(seed=2))
    assert old.read(photo(1)) == stored(seed=1)


@pytest.mark.parametrize("keep", [0, 10, 200, 1500])
def test_a_damaged_file_is_passed_over(tmp_path: Path, keep: int) -> None:
    store = EmbeddingStore(str(tmp_path), MODEL)
    store.write(photo(1), stored())
    file = files(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:keep])

    assert store.read(photo(1)) is None


def test_a_file_under_another_photos_name_is_passed_over(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), MODEL)
    store.write(photo(1), stored())
    store.write(photo(2), stored())
    mine, other = (next(tmp_path.rglob(f"{photo(n)}*")) for n in (1, 2))
    os.replace(mine, other)

    assert store.read(photo(2)) is None


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    size = len(stored().data)
    store = EmbeddingStore(str(tmp_path), MODEL, max_bytes=int(size * 3.5))
    for number in range(3):
        store.write(photo(number), stored(seed=number))
        os.utime(next(tmp_path.rglob(f"{photo(number)}*")), (number, number))
    store.read(photo(0))

    store.write(photo(3), stored(seed=3))

    assert store.ids() == {photo(0), photo(2), photo(3)}
    assert sum(file.stat().st_size for file in files(tmp_path)) <= size * 3.5


def test_the_limit_holds_for_files_that_were_there_before(tmp_path: Path) -> None:
    size = len(stored().data)
    unlimited = EmbeddingStore(str(tmp_path), MODEL)
    for number in range(6):
        unlimited.write(photo(number), stored(seed=number))

    EmbeddingStore(str(tmp_path), MODEL, max_bytes=2 * size).write(photo(9), stored(seed=9))

    assert sum(file.stat().st_size for file in files(tmp_path)) <= 2 * size


def test_a_limit_on_a_remote_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not on this machine"):
        EmbeddingStore("memory://store", MODEL, max_bytes=10)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 31, "A" * 32])
def test_only_image_ids_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not an image id"):
        EmbeddingStore(str(tmp_path), MODEL).read(name)

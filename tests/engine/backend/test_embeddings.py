from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.backend.embeddings import Embeddings
from model.errors import RecordError
from pipelines.embedding_store import EmbeddingStore
from stages.photos import PhotoLimits
from stages.records import ImageRef
from tests.factories import make_photo_bytes, make_ref
from tests.fakes import MODEL_ID, ColourEmbedding, DiscSegmenter


class Counting(DiscSegmenter):
    """Takes a moment for each photo, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded = 0

    def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
        time.sleep(0.05)
        self.embedded += 1
        return super().embed(image_HWC)


class Photos:
    """Gives photos, or fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.read = 0

    def __call__(self, photo: ImageRef, limits: PhotoLimits) -> bytes:
        self.read += 1
        if self.read <= self.failures:
            raise RecordError("network", "the store did not answer", passing=True)
        return make_photo_bytes(file_format="PNG")


def test_a_photo_is_embedded_once_however_many_ask_at_once(tmp_path: Path) -> None:
    segmenter, photos = Counting(), Photos()
    store = EmbeddingStore(str(tmp_path), MODEL_ID)
    embeddings = Embeddings(segmenter, photos, store=store)
    start = threading.Barrier(8)

    def ask(_number: int) -> object:
        start.wait()
        return embeddings.of(make_ref())

    with ThreadPoolExecutor(8) as pool:
        answers = set(map(id, pool.map(ask, range(8))))

    assert len(answers) == 1
    assert (segmenter.embedded, photos.read) == (1, 1)
    assert store.ids() == {make_ref().image_id}


def test_a_photo_in_the_store_is_neither_read_nor_embedded(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), MODEL_ID)
    made = Embeddings(Counting(), Photos(), store=store).of(make_ref())
    segmenter, photos = Counting(), Photos()

    found = Embeddings(segmenter, photos, store=store).of(make_ref())

    assert (segmenter.embedded, photos.read) == (0, 0)
    assert found.to_bytes() == made.to_bytes()


def test_a_failure_reaches_all_who_wait_and_the_next_one_tries_again() -> None:
    segmenter, photos = Counting(), Photos(failures=1)
    embeddings = Embeddings(segmenter, photos)

    with pytest.raises(RecordError, match="did not answer"):
        embeddings.of(make_ref())
    embeddings.of(make_ref())

    assert segmenter.embedded == 1


def test_memory_holds_no_more_than_it_may() -> None:
    segmenter = Counting()
    size = 4 * len(segmenter.embed(np.zeros((48, 64, 3), np.uint8)).to_bytes())
    segmenter.embedded = 0
    embeddings = Embeddings(segmenter, Photos(), memory_bytes=int(1.5 * size))

    for path in ("a.jpg", "b.jpg", "b.jpg", "a.jpg"):
        embeddings.of(make_ref(path))

    assert segmenter.embedded == 3


def test_a_stored_embedding_that_the_model_refuses_is_made_anew(tmp_path: Path) -> None:
    class Refusing(Counting):
        def embedding_from_bytes(self, data: bytes) -> ColourEmbedding:
            raise ValueError("the stored embedding is damaged")

    store = EmbeddingStore(str(tmp_path), MODEL_ID)
    Embeddings(Counting(), Photos(), store=store).of(make_ref())
    segmenter = Refusing()

    Embeddings(segmenter, Photos(), store=store).of(make_ref())

    assert segmenter.embedded == 1


def test_a_photo_replaced_under_its_name_is_embedded_again(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(make_photo_bytes(file_format="PNG"))
    photo = make_ref("a.png", uri=str(file))
    segmenter = Counting()
    store = EmbeddingStore(str(tmp_path / "store"), MODEL_ID)

    def read(_photo: ImageRef, _limits: PhotoLimits) -> bytes:
        return file.read_bytes()

    running = Embeddings(segmenter, read, store=store)
    before = running.of(photo).to_bytes()
    file.write_bytes(make_photo_bytes(file_format="PNG", seed=1) + b" ")

    after = running.of(photo).to_bytes()  # though it was in memory
    assert after != before
    assert Embeddings(segmenter, read, store=store).of(photo).to_bytes() == after
    assert segmenter.embedded == 2
    file.write_bytes(make_photo_bytes(file_format="PNG") + b"  ")
    assert Embeddings(segmenter, read, store=store).of(photo).to_bytes() == before


def test_no_more_than_two_files_are_in_memory_at_once() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def read(_photo: ImageRef, _limits: PhotoLimits) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        return make_photo_bytes(file_format="PNG")

    class Leaving(DiscSegmenter):
        def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
            time.sleep(0.01)
            with lock:
                now[0] -= 1
            return super().embed(image_HWC)

    embeddings = Embeddings(Leaving(), read)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: embeddings.of(make_ref(f"{n}.jpg")), range(8)))

    assert most[0] <= 2

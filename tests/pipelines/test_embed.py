from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import ConfigurationError, StopError
from pipelines import embed_photos
from pipelines.embed import EmbedRun, EmbedSummary, run_embed
from pipelines.embedding_store import EmbeddingStore, StoredEmbedding
from pipelines.reading import read_photo, stamp_of
from pipelines.sources import list_photos
from stages.photos import PhotoLimits, decode_photo
from tests.fakes import MODEL_ID, BrokenSegmenter, DiscSegmenter, disc_segmenter
from tests.pipelines.runs import make_photos


def broken_segmenter() -> BrokenSegmenter:
    return BrokenSegmenter()


def run(tmp_path: Path, **options: Any) -> EmbedSummary:
    config = EmbedRun(source=str(tmp_path / "photos"), out=str(tmp_path / "store"), threads=1)
    return run_embed(config, **({"segmenter": disc_segmenter} | options))


def test_the_pipeline_stores_what_embedding_directly_gives(tmp_path: Path) -> None:
    folder = make_photos(tmp_path / "photos", count=20)

    summary = run(tmp_path)

    assert (summary.photos, summary.embedded, summary.failures) == (20, 20, {})
    store = EmbeddingStore(str(tmp_path / "store"), MODEL_ID)
    for photo in list_photos(str(folder)):
        decoded = decode_photo(read_photo(photo.uri, PhotoLimits()))
        direct = DiscSegmenter().embed(decoded.pixels_HWC)
        stored = StoredEmbedding(direct.to_bytes(), decoded.sha256, stamp_of(photo.uri))
        assert store.read(photo.image_id) == stored


def test_a_second_run_does_only_what_is_missing(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", count=4)
    run(tmp_path)
    next((tmp_path / "store").rglob("*.embedding")).unlink()
    make_photos(tmp_path / "photos", count=2, first=4)
    told: list[tuple[int, int]] = []

    summary = run(tmp_path, progress=lambda done, total: told.append((done, total)))

    assert (summary.there_before, summary.embedded) == (3, 3)
    assert told == [(4, 6), (5, 6), (6, 6)]
    assert run(tmp_path).embedded == 0


def test_a_photo_that_was_replaced_is_embedded_again(tmp_path: Path) -> None:
    folder = make_photos(tmp_path / "photos", count=2)
    run(tmp_path)
    (folder / "001.png").write_bytes((folder / "000.png").read_bytes())

    assert (run(tmp_path).embedded, run(tmp_path).embedded) == (1, 0)


def test_bad_photos_are_counted_and_named_and_stop_nothing(tmp_path: Path) -> None:
    folder = make_photos(tmp_path / "photos", count=3)
    (folder / "bad.png").write_bytes(b"no photo")
    (folder / "none.jpg").write_bytes(b"")

    summary = run(tmp_path)

    assert (summary.photos, summary.embedded) == (5, 3)
    assert summary.failures == {"not_an_image": 1, "empty": 1}
    assert {photo.path for photo in summary.failed} == {"bad.png", "none.jpg"}


def test_a_model_that_fails_is_told_for_each_photo(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", count=2)

    assert run(tmp_path, segmenter=broken_segmenter).failures == {"internal": 2}


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(tmp_path / "photos", count=40)

    class Filling(EmbeddingStore):
        def write(self, image_id: str, stored: StoredEmbedding) -> None:
            if len(self.ids()) == 5:
                raise StopError("the disk is full")
            super().write(image_id, stored)

    monkeypatch.setattr(embed_photos, "EmbeddingStore", Filling)
    with pytest.raises(StopError, match="the disk is full"):
        run(tmp_path)

    monkeypatch.undo()
    assert run(tmp_path).there_before == 5


def test_a_source_without_photos_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()

    with pytest.raises(ConfigurationError, match="no photos in it"):
        run(tmp_path)
    assert not (tmp_path / "store").exists()


def test_the_store_may_be_anywhere(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", count=2)
    config = EmbedRun(source=str(tmp_path / "photos"), out="memory://embeddings", threads=1)

    assert run_embed(config, segmenter=disc_segmenter).embedded == 2
    assert run_embed(config, segmenter=disc_segmenter).there_before == 2
    assert np.all([len(name) == 32 for name in EmbeddingStore(config.out, MODEL_ID).ids()])

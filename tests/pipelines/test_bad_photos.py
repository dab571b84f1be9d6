from __future__ import annotations

import os
from pathlib import Path

import pytest

from model.errors import RecordError
from pipelines.automatic import run_automatic
from pipelines.reading import read_photo
from pipelines.sources import list_photos
from stages.photos import PhotoLimits
from tests.factories import make_photo_bytes
from tests.fakes import DiscSegmenter, disc_segmenter
from tests.pipelines import filesystems
from tests.pipelines.filesystems import FlakyFileSystem
from tests.pipelines.runs import make_photos, quick, rows_by_path, run_quickly, shard_digests

LIMITS = PhotoLimits()


def test_every_bad_photo_is_a_row_with_its_error_and_a_count(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 7)
    whole = make_photo_bytes(seed=1, width=80, height=60)
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "half.jpg").write_bytes(whole[:-100])
    (photos / "text.jpg").write_text("this is no photo")
    (photos / "vast.png").write_bytes(make_photo_bytes(300, 300, file_format="PNG"))
    (photos / "heavy.jpg").write_bytes(b"\xff\xd8\xff" + bytes(20_000))
    (photos / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    limits = PhotoLimits(max_pixels=50_000, max_bytes=15_000)
    summary = run_quickly(photos, tmp_path / "run", limits=limits)
    expected = {
        "empty.jpg": "empty",
        "half.jpg": "truncated",
        "text.jpg": "not_an_image",
        "vast.png": "too_many_pixels",
        "heavy.jpg": "too_many_bytes",
        "link.jpg": "vanished",
    }
    assert summary.failures == dict.fromkeys(sorted(expected.values()), 1)
    assert (summary.images, summary.failed) == (13, 6)
    rows = rows_by_path(tmp_path / "run")
    assert len(rows) == 13
    assert {path: row.error.type for path, row in rows.items() if row.error} == expected
    assert all(not row.masks for row in rows.values() if row.error)
    assert all(row.masks for row in rows.values() if not row.error)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("turned.jpg", {"orientation": 6}),
        ("one.png", {"width": 1, "height": 1, "file_format": "PNG"}),
        ("long.png", {"width": 1, "height": 3000, "file_format": "PNG"}),
        ("a b/ünï cödé 写真.jpg", {}),
        ("anim.gif", {"file_format": "GIF"}),
    ],
)
def test_odd_photos_go_through(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    photo = tmp_path / "photos" / name
    photo.parent.mkdir(parents=True)
    photo.write_bytes(make_photo_bytes(**options))  # type: ignore[arg-type]
    summary = run_quickly(tmp_path / "photos", tmp_path / "run")
    assert summary.failed == 0
    row = rows_by_path(tmp_path / "run")[name]
    size = (row.height, row.width)
    assert all(mask.segmentation.size_hw == size for mask in row.masks)
    if "orientation" in options:
        assert size == (64, 48)


def test_a_photo_that_breaks_the_model_is_a_row(tmp_path: Path) -> None:
    class DislikesOne(DiscSegmenter):
        def embed(self, image_HWC):  # type: ignore[no-untyped-def]
            if image_HWC.shape[0] == 10:
                raise RuntimeError("cannot embed this")
            return super().embed(image_HWC)

    photos = make_photos(tmp_path / "photos", 3)
    (photos / "odd.png").write_bytes(make_photo_bytes(10, 10, file_format="PNG"))
    summary = run_automatic(quick(photos, tmp_path / "run"), segmenter=DislikesOne)
    assert summary.failures == {"internal": 1}
    error = rows_by_path(tmp_path / "run")["odd.png"].error
    assert error is not None
    assert error.message == "RuntimeError: cannot embed this"


def test_a_photo_that_vanishes_after_planning_is_a_row(tmp_path: Path) -> None:
    photos, run = make_photos(tmp_path / "photos", 4), tmp_path / "run"
    run_quickly(photos, run)
    (run / "shards/part-00001-of-00002.parquet").unlink()
    (photos / "003.png").unlink()
    assert run_quickly(photos, run, append=True).failures == {"vanished": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_photo_without_permission_is_a_row(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 3)
    (photos / "001.png").chmod(0)
    assert run_quickly(photos, tmp_path / "run").failures == {"no_permission": 1}


@pytest.mark.parametrize(
    ("trouble", "kind", "passing"),
    [
        (PermissionError("no"), "no_permission", False),
        (FileNotFoundError("gone"), "vanished", False),
        (TimeoutError("slow"), "timeout", True),
        (ConnectionResetError("reset"), "network", True),
        (RuntimeError("the client's own error"), "network", True),
    ],
)
def test_what_a_store_says_becomes_a_kind(trouble: Exception, kind: str, passing: bool) -> None:
    filesystems.register()
    FlakyFileSystem().pipe_file("/a.jpg", b"x")
    FlakyFileSystem.troubles["/a.jpg"] = trouble
    with pytest.raises(RecordError) as failed:
        read_photo("flaky://a.jpg", LIMITS)
    assert (failed.value.kind, failed.value.passing) == (kind, passing)
    assert "a.jpg" in str(failed.value)


def test_a_pipe_named_like_a_photo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(RecordError, match=r"pipe\.jpg: is not a file"):
        read_photo(str(tmp_path / "pipe.jpg"), LIMITS)


def test_an_address_nobody_serves_is_a_row_of_its_list(tmp_path: Path) -> None:
    make_photos(tmp_path, 1)
    (tmp_path / "list.txt").write_text("000.png\nteleport://somewhere/a.jpg\n")
    assert run_quickly(tmp_path / "list.txt", tmp_path / "run").failures == {"unreadable": 1}


def test_retry_makes_new_revisions_of_what_failed_for_a_passing_reason(tmp_path: Path) -> None:
    filesystems.register()
    store, run = FlakyFileSystem(), tmp_path / "run"
    for number in range(4):
        store.pipe_file(f"/trip/{number}.png", make_photo_bytes(seed=number, file_format="PNG"))
    store.pipe_file("/trip/4.png", b"no photo")
    FlakyFileSystem.troubles |= {
        "/trip/1.png": TimeoutError(),
        "/trip/3.png": ConnectionResetError(),
    }
    first = run_quickly("flaky://trip", run, max_failed_share=1.0)
    assert first.failures == {"network": 1, "not_an_image": 1, "timeout": 1}
    before = shard_digests(run)

    del FlakyFileSystem.troubles["/trip/1.png"]
    second = run_quickly("flaky://trip", run, retry_failed=True)
    assert second.failures == {"network": 1, "not_an_image": 1}
    FlakyFileSystem.troubles.clear()
    third = run_quickly("flaky://trip", run, retry_failed=True)
    assert third.failures == {"not_an_image": 1}
    assert (third.images, third.shards) == (5, 5)

    after = shard_digests(run)
    assert {name: after[name] for name in before} == before
    rows = rows_by_path(run)
    assert len(rows) == 5
    assert {path: row.revision for path, row in rows.items()} == {
        "0.png": 0,
        "1.png": 1,
        "2.png": 0,
        "3.png": 2,
        "4.png": 0,
    }
    assert rows["3.png"].masks
    assert third.masks == sum(len(row.masks) for row in rows.values())


def test_retry_with_nothing_to_retry_changes_nothing(tmp_path: Path) -> None:
    photos, run = make_photos(tmp_path / "photos", 2), tmp_path / "run"
    first = run_quickly(photos, run)
    again = run_automatic(quick(photos, run, retry_failed=True), segmenter=disc_segmenter)
    assert again.shards == first.shards
    assert len(list_photos(str(photos))) == again.images

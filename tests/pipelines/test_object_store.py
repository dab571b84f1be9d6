"""Runs whose photos and folders lie on an S3 server, a real one that the test starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.shards import read_rows
from pipelines.status import run_status
from pipelines.storage import Folder
from stages.records import ImageRow
from stages.rle import Rle
from tests.object_store import endpoint, store  # noqa: F401 - fixtures
from tests.pipelines.runs import make_photos, run_quickly

# botocore and aiohttp leave closing to the interpreter's end; that is theirs, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_from_and_to_s3_gives_the_same_shards_but_for_addresses(
    tmp_path: Path,
    store: Any,  # noqa: F811
    workers: int,
) -> None:
    photos = make_photos(tmp_path / "photos", 5)
    source, out = f"s3://bucket/{workers}/photos", f"s3://bucket/{workers}/run"
    for photo in photos.iterdir():
        store.put_file(str(photo), f"bucket/{workers}/photos/sub dir/ü {photo.name}")
    store.pipe_file(f"bucket/{workers}/photos/bad.jpg", b"no photo")
    summary = run_quickly(source, out, workers=workers)
    assert (summary.images, summary.failures) == (6, {"not_an_image": 1})
    rows = {row.ref.path: row for row in read_rows(out)}
    assert len(rows) == 6
    run_quickly(photos, tmp_path / "run")
    for row in read_rows(str(tmp_path / "run")):
        there = rows[f"sub dir/ü {row.ref.path}"]
        # Masks of equal scores are ordered by their ids, which the photo's path is part of.
        assert segmentations(there) == segmentations(row)
        assert there.ref.uri == f"{source}/sub dir/ü {row.ref.path}"
    assert run_status(out).finished
    assert Folder(out).names() == [
        "manifest.json",
        "plan.parquet",
        "shards",
        "stats",
        "summary.json",
    ]


def segmentations(row: ImageRow) -> list[Rle]:
    return sorted(mask.segmentation for mask in row.masks)


def test_a_run_on_s3_resumes(tmp_path: Path, store: Any) -> None:  # noqa: F811
    photos, out = make_photos(tmp_path / "photos", 4), "s3://bucket/resumed"
    run_quickly(photos, out)
    name = "shards/part-00001-of-00002.parquet"
    before = Folder(out).read(name)
    store.rm_file(f"bucket/resumed/{name}")
    assert run_status(out).rows_done == 2
    assert run_quickly(photos, out).images == 4
    assert Folder(out).read(name) == before

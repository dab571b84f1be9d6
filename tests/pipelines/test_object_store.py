"""Runs whose photos and folders lie on an S3 server, a real one that the test starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from pipelines.shards import read_rows
from pipelines.status import run_status
from pipelines.storage import Folder
from stages.records import ImageRow
from stages.rle import Rle
from tests.pipelines.runs import make_photos, run_quickly

# botocore and aiohttp leave closing to the interpreter's end; that is theirs, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    address = f"http://127.0.0.1:{free_port()}"
    program = "from moto.server import main; import sys; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", address.rsplit(":", 1)[1]]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(address)
        yield address
    finally:
        server.terminate()
        server.wait()


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"{address}/moto-api/", timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.2)


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The environment that s3fs reads, also in workers; gives the filesystem."""
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    filesystem = s3fs.S3FileSystem()
    if not filesystem.exists("bucket"):
        filesystem.mkdir("bucket")
    yield filesystem
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_from_and_to_s3_gives_the_same_shards_but_for_addresses(
    tmp_path: Path, store: Any, workers: int
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


def test_a_run_on_s3_resumes(tmp_path: Path, store: Any) -> None:
    photos, out = make_photos(tmp_path / "photos", 4), "s3://bucket/resumed"
    run_quickly(photos, out)
    name = "shards/part-00001-of-00002.parquet"
    before = Folder(out).read(name)
    store.rm_file(f"bucket/resumed/{name}")
    assert run_status(out).rows_done == 2
    assert run_quickly(photos, out).images == 4
    assert Folder(out).read(name) == before

"""How the server gets at the photos: a folder that both see, or a bucket with a key."""

from __future__ import annotations

import pytest

from engine.assist.connection import Connection
from engine.assist.settings import ServerSettings
from model.errors import ConfigurationError
from tests.engine.assist.runs import AssistedRun


def in_folders(run: AssistedRun, *years: str) -> None:
    """Its one photo into each of these folders below it."""
    photo = run.photos / "000.png"
    for year in years:
        (run.photos / year).mkdir()
        (run.photos / year / "photo.png").write_bytes(photo.read_bytes())
    photo.unlink(missing_ok=True)


def test_photos_of_another_folder_can_be_sent_later(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    in_folders(run, "2024")
    assert run.send().added == 1
    (first,) = run.server.all_tasks.values()
    assert first["data"]["image"] == "/data/local-files/?d=photos/2024/photo.png"
    (run.photos / "000.png").write_bytes((run.photos / "2024" / "photo.png").read_bytes())
    in_folders(run, "2025")
    assert run.send().added == 1


def test_a_deeper_folder_that_is_shared_already_stays_so(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    in_folders(run, "2024")
    run.home.share(str(run.photos / "2024"), "photos")
    run.send()
    (first,) = run.server.all_tasks.values()
    assert first["data"]["image"] == "/data/local-files/?d=photos/photo.png"


@pytest.fixture
def in_a_bucket(tmp_path, monkeypatch) -> AssistedRun:
    """Two photos on S3, and the key that the server signs their addresses with."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    photos = tmp_path / "list.txt"
    photos.write_text("s3://bucket/a.jpg\ns3://bucket/b.jpg\n")
    return AssistedRun(tmp_path, source=str(photos), server=ServerSettings(photos="s3"))


def test_photos_in_a_bucket_are_shown_by_presigned_addresses(in_a_bucket):
    in_a_bucket.send()
    server = in_a_bucket.server
    (storage,) = server.storages
    assert (storage["bucket"], storage["presign"]) == ("bucket", True)
    assert server.all_tasks[min(server.all_tasks)]["data"]["image"] == "s3://bucket/a.jpg"


def test_a_bucket_without_a_key_is_refused_before_anything_is_sent(in_a_bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        in_a_bucket.send()
    assert in_a_bucket.server.requests == []


def test_another_server_must_be_told_where_it_sees_the_photos(tmp_path):
    run = AssistedRun(tmp_path, server=ServerSettings(url="http://studio.test"))
    run.connection = lambda: Connection(run.server.client(), None)
    with pytest.raises(ConfigurationError, match=r"server\.document_root"):
        run.send()


def test_photos_with_nothing_but_the_root_in_common_are_not_shared(tmp_path):
    photos = tmp_path / "list.txt"
    photos.write_text("/a/one.jpg\n/b/two.jpg\n")
    run = AssistedRun(tmp_path, source=str(photos))
    with pytest.raises(ConfigurationError, match="could read all of it"):
        run.send()


def test_new_keys_of_a_bucket_reach_the_server(in_a_bucket, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "for an hour")
    in_a_bucket.send()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "rotated")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    in_a_bucket.send()
    (storage,) = in_a_bucket.server.storages
    assert (storage["aws_secret_access_key"], storage["aws_session_token"]) == ("rotated", None)

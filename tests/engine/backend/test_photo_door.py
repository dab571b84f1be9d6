from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.backend.errors import RequestError
from engine.backend.photo_door import AllowedPlaces, PhotoDoor
from model.errors import ConfigurationError, RecordError
from pipelines.sources import list_photos
from stages.photos import PhotoLimits
from tests.factories import make_photo_bytes

LIMITS = PhotoLimits()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    (folder / "a.png").write_bytes(make_photo_bytes(file_format="PNG"))
    (folder / "below" / "b.png").write_bytes(make_photo_bytes(file_format="PNG", seed=1))
    (tmp_path / "secret.png").write_bytes(make_photo_bytes(file_format="PNG", seed=2))
    (tmp_path / "photos-secret").mkdir()
    (tmp_path / "photos-secret" / "c.png").write_bytes(b"x")
    return folder


@pytest.fixture
def door(photos: Path) -> PhotoDoor:
    opened = PhotoDoor(str(photos))
    assert opened.open() == 2
    return opened


def task(address: str) -> dict[str, str]:
    return {"image": address}


def local(path: str) -> dict[str, str]:
    return task(f"/data/local-files/?d={path}")


def refused(door: PhotoDoor, data: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="none of this service's photos") as raised:
        door.find(data, "image")
    assert raised.value.status == 403


def test_a_photo_is_found_by_its_id_whatever_address_the_task_shows(
    door: PhotoDoor, photos: Path
) -> None:
    for photo in list_photos(str(photos)):
        data = {"image_id": photo.image_id, "image": "https://elsewhere.example/x?signature=1"}

        assert door.find(data, "image") == photo
        assert door.read(photo, LIMITS) == Path(photo.uri).read_bytes()


def test_an_address_of_label_studio_finds_the_same_photo(door: PhotoDoor, photos: Path) -> None:
    by_path = {photo.path: photo for photo in list_photos(str(photos))}

    for path, photo in by_path.items():
        assert door.find(local(path), "image") == photo
        assert door.find(local(f"photos/{path}"), "image") == photo


def test_photos_added_later_are_found(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.backend.photo_door._SECONDS_BETWEEN_LISTINGS", -1.0)
    door = PhotoDoor(str(photos))
    door.open()
    (photos / "new.png").write_bytes(make_photo_bytes(file_format="PNG", seed=3))
    new = {photo.path: photo for photo in list_photos(str(photos))}["new.png"]

    assert door.find({"image_id": new.image_id}, "image") == new


@pytest.mark.parametrize(
    "address",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "local:///etc/passwd",
        "http://127.0.0.1:9/x.png",
        "https://example.com/x.png",
        "s3://bucket/x.png",
        "memory://x.png",
        "/data/upload/1/x.png",
        "../secret.png",
        "simplecache::file:///etc/passwd",
    ],
)
def test_no_other_address_is_opened(door: PhotoDoor, address: str) -> None:
    refused(door, task(address))


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "photos/../secret.png",
        "secret.png",
        "%2e%2e/secret.png",
        "..%2fsecret.png",
        "photos-secret/c.png",
        "../photos-secret/c.png",
        "/etc/passwd",
        "//etc/passwd",
        "a.png%00.jpg",
        "",
        "missing.png",
        ".",
    ],
)
def test_no_path_leads_out_of_the_folder(door: PhotoDoor, path: str) -> None:
    refused(door, local(path))


def test_a_link_that_leads_out_is_refused_even_where_it_was_listed(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "link.png").symlink_to(tmp_path / "secret.png")
    (photos / "linked").symlink_to(tmp_path / "photos-secret")
    door = PhotoDoor(str(photos))
    door.open()

    refused(door, local("link.png"))
    refused(door, local("linked/c.png"))
    for photo in list_photos(str(photos)):
        if "link" in photo.path:
            found = door.find({"image_id": photo.image_id}, "image")
            with pytest.raises(RequestError, match="none of this service's photos"):
                door.read(found, LIMITS)


def test_a_file_that_becomes_a_link_out_is_refused_when_it_is_read(
    door: PhotoDoor, photos: Path, tmp_path: Path
) -> None:
    found = door.find(local("a.png"), "image")
    (photos / "a.png").unlink()
    (photos / "a.png").symlink_to(tmp_path / "secret.png")

    with pytest.raises(RequestError, match="none of this service's photos"):
        door.read(found, LIMITS)


def test_a_link_may_lead_where_the_operator_allows_it(photos: Path, tmp_path: Path) -> None:
    (photos / "linked").symlink_to(tmp_path / "photos-secret")
    door = PhotoDoor(str(photos), allowed=AllowedPlaces.of([str(tmp_path / "photos-secret")]))
    door.open()

    assert door.read(door.find(local("linked/c.png"), "image"), LIMITS) == b"x"


@pytest.mark.parametrize("kind", ["list", "glob"])
def test_of_a_list_or_a_glob_only_the_files_it_names_are_read(
    photos: Path, tmp_path: Path, kind: str
) -> None:
    (photos / "other.png").write_bytes(b"x")
    listed = tmp_path / "list.txt"
    listed.write_text(f"{photos}/a.png\n")
    door = PhotoDoor(str(listed) if kind == "list" else f"{photos}/a*.png")
    assert door.open() == 1

    found = door.find(local("photos/a.png"), "image")
    assert door.read(found, LIMITS) == (photos / "a.png").read_bytes()
    refused(door, local("photos/other.png"))
    refused(door, local("photos/below/b.png"))
    (photos / "a.png").unlink()
    (photos / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(RequestError, match="none of this service's photos"):
        door.read(found, LIMITS)


def test_a_folder_may_be_allowed_by_a_file_address(photos: Path) -> None:
    door = PhotoDoor(None, allowed=AllowedPlaces.of([f"file://{photos}"]))
    door.open()

    assert door.read(door.find(local("a.png"), "image"), LIMITS)


def test_nothing_to_read_is_a_mistake_that_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no photo may be read"):
        PhotoDoor(None).open()
    with pytest.raises(ConfigurationError, match="no such folder"):
        AllowedPlaces.of([str(tmp_path / "missing")])


class _Photos(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/photos/moved"):
            self.send_response(302)
            self.send_header("Location", "/secret.png")
            self.end_headers()
            return
        known = self.path.split("?")[0] == "/photos/a.png"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(b"a" * 100 if known else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Photos)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_allowed_web_address_is_read_and_keeps_its_id_when_signed_anew(web: str) -> None:
    door = PhotoDoor(None, allowed=AllowedPlaces.of([f"{web}/photos"]))
    door.open()

    first, second = (door.find(task(f"{web}/photos/a.png?sig={n}"), "image") for n in (1, 2))

    assert first.image_id == second.image_id
    assert door.read(first, LIMITS) == b"a" * 100
    with pytest.raises(RecordError, match="more than 99 bytes"):
        door.read(first, PhotoLimits(max_bytes=99))


def test_a_redirect_is_not_followed_and_signatures_are_not_told(web: str) -> None:
    door = PhotoDoor(None, allowed=AllowedPlaces.of([f"{web}/photos"]))

    for path, kind in (("moved.png", "no_permission"), ("gone.png", "vanished")):
        photo = door.find(task(f"{web}/photos/{path}?sig=s3cret"), "image")
        with pytest.raises(RecordError) as raised:
            door.read(photo, LIMITS)
        assert raised.value.kind == kind
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "path",
    [
        "/photos-secret/a.png",
        "/photos/../secret.png",
        "/photos/%2e%2e/secret.png",
        "/photos/%252e%252e/secret.png",
        "/photos/..%5csecret.png",
        "/photos/a.png::file:///etc/passwd",
        "@evil.example/photos/a.png",
    ],
)
def test_an_allowed_web_folder_cannot_be_left(web: str, path: str) -> None:
    refused(PhotoDoor(None, allowed=AllowedPlaces.of([f"{web}/photos"])), task(web + path))

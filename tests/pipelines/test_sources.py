from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from model.errors import ConfigurationError
from pipelines.sources import list_photos
from stages.ids import image_id


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def paths(source: Path | str) -> list[str]:
    return [ref.path for ref in list_photos(str(source))]


def test_a_folder_is_read_with_all_below_it_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a/z.JPG", "a/deep/er/c.PnG", "a.webp")
    assert paths(tmp_path) == ["a.webp", "a/deep/er/c.PnG", "a/z.JPG", "b.jpg"]


def test_hidden_files_and_folders_and_other_files_are_not_photos(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "._a.jpg", ".cache/b.jpg", "notes.txt", "movie.mp4")
    assert paths(tmp_path) == ["a.jpg"]


def test_ids_are_of_the_source_name_and_the_relative_path(tmp_path: Path) -> None:
    (ref,) = list_photos(str(touch(tmp_path / "trip", "day 1/é.jpg")))
    assert (ref.source, ref.path) == ("trip", "day 1/é.jpg")
    assert ref.image_id == image_id("trip", "day 1/é.jpg")
    assert ref.uri == str(tmp_path / "trip/day 1/é.jpg")


def test_a_folder_that_moved_keeps_its_ids_by_its_name(tmp_path: Path) -> None:
    there = list_photos(str(touch(tmp_path / "old", "a.jpg")), name="trip")
    here = list_photos(str(touch(tmp_path / "new", "a.jpg")), name="trip")
    assert there[0].image_id == here[0].image_id


def test_two_photos_of_the_same_name_in_different_folders_are_two(tmp_path: Path) -> None:
    refs = list_photos(str(touch(tmp_path, "x/a.jpg", "y/a.jpg")))
    assert len({ref.image_id for ref in refs}) == 2


def test_links_in_a_loop_end_and_every_photo_is_there_once(tmp_path: Path) -> None:
    touch(tmp_path / "photos", "sub/a.jpg")
    (tmp_path / "photos/sub/up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/aaa").symlink_to(tmp_path / "photos/sub")
    touch(tmp_path / "elsewhere", "b.jpg")
    (tmp_path / "photos/linked").symlink_to(tmp_path / "elsewhere")
    assert paths(tmp_path / "photos") == ["linked/b.jpg", "sub/a.jpg"]


def test_a_broken_link_is_listed_so_that_it_becomes_a_row(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    assert paths(tmp_path) == ["a.jpg", "b.jpg"]


def test_a_name_that_is_not_utf8_is_listed_with_escapes(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.jpg"))).write_bytes(b"x")
    except OSError:
        pytest.skip("this filesystem takes UTF-8 names only")
    assert paths(tmp_path) == ["caf\\xe9.jpg"]


def test_a_glob_takes_its_name_and_paths_from_its_plain_part(tmp_path: Path) -> None:
    touch(tmp_path / "trip", "x/a.jpg", "x/a.png", "y/deep/b.jpg")
    refs = list_photos(str(tmp_path / "trip/**/*.jpg"))
    assert [(ref.source, ref.path) for ref in refs] == [
        ("trip", "x/a.jpg"),
        ("trip", "y/deep/b.jpg"),
    ]


def test_a_folder_whose_name_looks_like_a_glob_is_a_folder(tmp_path: Path) -> None:
    refs = list_photos(str(touch(tmp_path / "trip [1]", "a.jpg")))
    assert [(ref.source, ref.path) for ref in refs] == [("trip [1]", "a.jpg")]


def test_a_list_gives_each_address_once_relative_to_itself(tmp_path: Path) -> None:
    listing = tmp_path / "lists/photos.txt"
    listing.parent.mkdir()
    listing.write_text("# ours\n../a b.jpg\n\n/abs/c.jpg\n../a b.jpg\r\ns3://bucket/d.jpg\n")
    refs = list_photos(str(listing))
    assert [(ref.path, ref.uri) for ref in refs] == [
        ("../a b.jpg", str(tmp_path / "a b.jpg")),
        ("/abs/c.jpg", "/abs/c.jpg"),
        ("s3://bucket/d.jpg", "s3://bucket/d.jpg"),
    ]
    assert {ref.source for ref in refs} == {"photos.txt"}


def test_one_photo_is_a_source(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    assert paths(tmp_path / "b.jpg") == ["b.jpg"]


def test_a_url_is_a_source() -> None:
    memory = fsspec.filesystem("memory")
    for name in ("/urls/x/a.jpg", "/urls/B.PNG", "/urls/.hidden/c.jpg", "/urls/readme.md"):
        memory.pipe_file(name, b"x")
    refs = list_photos("memory://urls")
    assert [(r.source, r.path, r.uri) for r in refs] == [
        ("urls", "B.PNG", "memory:///urls/B.PNG"),
        ("urls", "x/a.jpg", "memory:///urls/x/a.jpg"),
    ]


def test_no_such_source_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere: no such folder, file or glob"):
        list_photos(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("source", ["", "*.jpg"])
def test_a_source_without_photos_is_refused_and_says_what_counts(
    tmp_path: Path, source: str
) -> None:
    touch(tmp_path, "notes.md")
    with pytest.raises(ConfigurationError, match=r"no photos in it.*\.jpg"):
        list_photos(str(tmp_path / source))


def test_a_protocol_nobody_serves_is_refused_with_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot open teleport:// .*Install"):
        list_photos("teleport://bucket/photos")


def test_a_list_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigurationError, match="must be UTF-8 text"):
        list_photos(str(tmp_path / "list.txt"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_listed_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        with pytest.raises(ConfigurationError, match="cannot be listed"):
            list_photos(str(tmp_path))
    finally:
        (tmp_path / "locked").chmod(0o700)

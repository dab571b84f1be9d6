from __future__ import annotations

import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.errors import ConfigurationError, ShardError, StopError
from pipelines.shards import read_rows
from pipelines.storage import Folder
from tests.pipelines import filesystems
from tests.pipelines.filesystems import SmallDiskFileSystem
from tests.pipelines.runs import make_photos, run_quickly, shard_digests


@pytest.fixture(params=["local", "memory", "smalldisk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    filesystems.register()
    name = f"{tmp_path.name}-out"
    return Folder(
        str(tmp_path / "out") if request.param == "local" else f"{request.param}://{name}"
    )


def test_a_file_is_read_back_and_replaced_whole(folder: Folder) -> None:
    folder.write("shards/a.bin", b"one")
    folder.write("shards/a.bin", b"two")
    assert folder.read("shards/a.bin") == b"two"
    assert folder.names("shards") == ["a.bin"]
    assert folder.exists("shards/a.bin")
    assert not folder.exists("shards/b.bin")


def test_a_file_has_no_name_before_it_is_whole(folder: Folder) -> None:
    with folder.writing("shards/a.bin") as file:
        file.write(b"half")
        assert not folder.exists("shards/a.bin")
    assert folder.read("shards/a.bin") == b"half"


def test_a_file_that_fails_half_way_leaves_nothing(folder: Folder) -> None:
    def fail() -> None:
        with folder.writing("shards/a.bin") as file:
            file.write(b"half")
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        fail()
    assert folder.names("shards") == []
    assert folder.names("_tmp") == []


def test_names_of_what_is_not_there_are_none(folder: Folder) -> None:
    assert folder.names("shards") == []
    folder.remove("shards")


def test_a_folder_is_pickled_by_its_address(folder: Folder) -> None:
    folder.write("a", b"x")
    assert pickle.loads(pickle.dumps(folder)).read("a") == b"x"


def test_an_address_may_hold_what_fsspec_would_read_as_a_chain(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "a::b [c]"))
    folder.write("x", b"1")
    assert (tmp_path / "a::b [c]/x").read_bytes() == b"1"


def test_a_full_disk_says_what_to_do() -> None:
    filesystems.register()
    SmallDiskFileSystem.room_bytes = 3
    with pytest.raises(StopError, match=r"the disk is full.*Free some space and run the same"):
        Folder("smalldisk://run").write("shards/a", b"four")


def test_another_trouble_with_writing_says_what_to_check(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/shards").write_text("a file where a folder has to be")
    with pytest.raises(ShardError, match=r"shards/a: cannot be written \(FileExistsError"):
        Folder(str(tmp_path / "out")).write("shards/a", b"x")


def test_a_run_on_a_full_disk_stops_and_a_rerun_goes_on(tmp_path: Path) -> None:
    filesystems.register()
    photos = make_photos(tmp_path / "photos", 4)
    run_quickly(photos, tmp_path / "alone")
    SmallDiskFileSystem.room_bytes = 5_000  # enough for the plan, not for a shard
    with pytest.raises(StopError, match="the disk is full"):
        run_quickly(photos, "smalldisk://run")
    SmallDiskFileSystem.room_bytes = 10**9
    assert run_quickly(photos, "smalldisk://run").images == 4
    for name in shard_digests(tmp_path / "alone"):
        expected = (tmp_path / "alone/shards" / name).read_bytes()
        assert Folder("smalldisk://run").read(f"shards/{name}") == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real filesystem of 300 KB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(mounted)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk needs root")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_run_on_a_real_full_disk_stops_and_a_rerun_goes_on(
    tmp_path: Path, small_disk: Path
) -> None:
    photos = make_photos(tmp_path / "photos", 4)
    run_quickly(photos, tmp_path / "alone")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(270_000))
    with pytest.raises(StopError, match="the disk is full"):
        run_quickly(photos, small_disk / "run")
    filler.unlink()
    run_quickly(photos, small_disk / "run")
    assert shard_digests(small_disk / "run") == shard_digests(tmp_path / "alone")
    assert len(list(read_rows(str(small_disk / "run")))) == 4


def test_an_unknown_protocol_as_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot open teleport://"):
        run_quickly(make_photos(tmp_path / "photos", 1), "teleport://run")

from __future__ import annotations

import errno
import os

import pytest

from engine.exports.folder import export_folder, write_marker
from model.errors import ConfigurationError, StopError


def fill(out, export_format="coco", text="new"):
    with export_folder(str(out), export_format) as folder:
        (folder / "file.txt").write_text(text)
        write_marker(folder, {"format": export_format})


def test_a_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with export_folder(str(out), "coco") as folder:
        (folder / "file.txt").write_text("a")
        assert not out.exists()
    assert (out / "file.txt").read_text() == "a"
    assert os.listdir(out.parent) == ["out"]


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    def fail():
        with export_folder(str(tmp_path / "out"), "coco") as folder:
            (folder / "file.txt").write_text("a")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []


def test_an_earlier_export_of_the_same_format_is_replaced(tmp_path):
    fill(tmp_path / "out", text="old")
    (tmp_path / "out" / "gone.txt").touch()
    fill(tmp_path / "out", text="new")
    assert (tmp_path / "out" / "file.txt").read_text() == "new"
    assert not (tmp_path / "out" / "gone.txt").exists()
    assert os.listdir(tmp_path) == ["out"]


def test_an_earlier_export_stays_if_the_new_one_fails(tmp_path):
    fill(tmp_path / "out", text="old")

    def fail():
        with export_folder(str(tmp_path / "out"), "coco"):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "out" / "file.txt").read_text() == "old"


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"holds other things \(thesis.tex\)"):
        fill(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_an_export_of_another_format_is_refused(tmp_path):
    fill(tmp_path / "out", "png")
    with pytest.raises(ConfigurationError, match="an export as png, and this one is coco"):
        fill(tmp_path / "out", "coco")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        fill(tmp_path / "out")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        fill(tmp_path / "file" / "out")


def test_a_full_disk_stops_with_advice(tmp_path):
    def fail():
        with export_folder(str(tmp_path / "out"), "coco"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StopError, match=r"disk is full.*same command again"):
        fail()
    assert os.listdir(tmp_path) == []

"""A photo taken out of a run: what could bring it back is gone, whenever it is killed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from engine.assist.answer_content import Content
from engine.datasets import remove_from_run as removal
from engine.datasets.checksums import CHECKSUMS_FILE, wrong_files
from engine.datasets.description import STATISTICS_FILE, WORDS_FILE
from engine.datasets.remove import remove_photo
from engine.exports import removal as export_removal
from engine.exports.folder import MARKER_FILE
from model.errors import BusyError, ConfigurationError
from pipelines.answers import Answer, read_answers, write_answers
from pipelines.lock import run_lock
from pipelines.removals import read_removals
from pipelines.reviews import read_reviews, write_reviews
from pipelines.shards import read_rows
from pipelines.status import run_status
from pipelines.storage import Folder
from stages.reviews import ReviewRecord
from tests.engine.run_factory import make_run
from tests.factories import make_row

ROWS = [make_row(f"{number}.png") for number in range(3)]
IMAGE = ROWS[0].ref.image_id
SECRET = "what people drew"


class Killed(BaseException):
    """The process ends here."""


def make_collected(out: Path) -> Folder:
    """A finished run with answers, reviews, a report, and a data set's numbers beside them."""
    folder = Folder(make_run(out, ROWS))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    write_answers(folder, 0, [Answer(row.ref, 0, "1|2", SECRET) for row in ROWS])
    write_reviews(
        folder,
        0,
        [
            ReviewRecord(row.masks[0].mask_id, row.ref.image_id, "accept", "ann", None, at)
            for row in ROWS
        ],
    )
    words = {"words": {"name": "discs"}, "rounds": [1]}
    folder.write(WORDS_FILE, json.dumps(words).encode())
    for name in (STATISTICS_FILE, CHECKSUMS_FILE, "report.html", f"work/{IMAGE}/ann.json"):
        folder.write(name, b"{}")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_nothing_is_left_that_the_photo_could_be_made_from_again(tmp_path: Path) -> None:
    run = make_collected(tmp_path / "run")

    (removed,) = remove_photo(IMAGE, [run.address], reason="asked to")

    assert removed.masks == 1
    assert not any(row.masks for row in read_rows(run.address) if row.ref.image_id == IMAGE)
    answers = read_answers(run, 0)
    assert Content.from_text(answers[IMAGE].content).problem == (
        "removed",
        "taken out of the data set: asked to",
    )
    assert answers[ROWS[1].ref.image_id].content == SECRET
    assert [review.image_id for review in read_reviews(run)] == [r.ref.image_id for r in ROWS[1:]]
    assert not run.exists("report.html")
    assert not run.exists(f"work/{IMAGE}")
    assert json.loads(run.read(STATISTICS_FILE))["masks"] == 2
    assert b"| masks | 2 |" in run.read("README.md")
    assert run_status(run.address).failures == {"removed": 1}
    assert wrong_files(run) == []


def test_killed_at_any_write_the_next_call_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "timestamp", lambda: "2026-01-01T00:00:00+00:00")
    make_collected(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "whole")
    remove_photo(IMAGE, [str(tmp_path / "whole")], reason="asked to")
    whole, writing, kills = files(tmp_path / "whole"), Folder.writing, 0

    while True:
        place, left = tmp_path / f"killed-{kills}", kills
        shutil.copytree(tmp_path / "run", place)

        @contextmanager
        def dying(folder: Folder, name: str) -> Iterator[BinaryIO]:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            with writing(folder, name) as file:
                yield file

        monkeypatch.setattr(Folder, "writing", dying)
        try:
            remove_photo(IMAGE, [str(place)], reason="asked to")
        except Killed:
            kills += 1
        else:
            break
        monkeypatch.setattr(Folder, "writing", writing)
        assert [one.masks for one in remove_photo(IMAGE, [str(place)], reason="asked to")] == [1]
        assert files(place) == whole

    assert kills == 9  # list, answers, reviews, sidecar, shard, summary, numbers, card, checksums


def test_nobody_takes_a_photo_out_of_a_run_that_another_call_changes(tmp_path: Path) -> None:
    first, second = make_collected(tmp_path / "first"), make_collected(tmp_path / "second")
    before = files(tmp_path / "first")
    places = [first.address, second.address]

    with run_lock(second), pytest.raises(BusyError, match=r"second: process .* is at work here"):
        remove_photo(IMAGE, places, reason="")
    assert files(tmp_path / "first").keys() - before.keys() == {"lock"}

    # One place under two names is no second call.
    again = remove_photo(IMAGE, [*places, f"{first.address}/"], reason="")
    assert [one.masks for one in again] == [1, 1]
    assert wrong_files(first) == []


def test_a_damaged_list_is_not_read_as_an_empty_one(tmp_path: Path) -> None:
    run = make_collected(tmp_path / "run")
    run.write("removals.jsonl", b"{}\n")

    with pytest.raises(ConfigurationError, match=r"line 1 is no removal.*must not come back"):
        read_removals(run)


def make_export(out: Path, kind: str) -> Path:
    from engine.exports.tables import number_tables

    out.mkdir()
    with number_tables(out) as tables:
        for number, row in enumerate(ROWS, start=1):
            tables.image(number, row, None)
            tables.mask(number, number, row.masks[0])
    marker = {"kind": "mask-engine export", "format": kind, "images": 3, "masks": 3}
    (out / MARKER_FILE).write_text(json.dumps(marker))
    return out


def test_an_export_counts_right_however_often_its_removal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = make_export(tmp_path / "sa1b", "sa1b")
    replace = export_removal._replace

    def dying(path: Path, table: object) -> None:
        if path.name == "images.parquet":
            raise Killed
        replace(path, table)

    monkeypatch.setattr(export_removal, "_replace", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            remove_photo(IMAGE, [str(out)], reason="")
    monkeypatch.setattr(export_removal, "_replace", replace)
    remove_photo(IMAGE, [str(out)], reason="")

    marker = json.loads((out / MARKER_FILE).read_text())
    assert (marker["images"], marker["masks"], marker["removed"]) == (2, 2, [IMAGE])


def test_a_format_that_nobody_knows_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    run = make_collected(tmp_path / "run")
    out = make_export(tmp_path / "png", "png")
    before = files(tmp_path)

    with pytest.raises(ConfigurationError, match=r"an export as png.*Nothing was changed"):
        remove_photo(IMAGE, [run.address, str(out)], reason="")
    assert files(tmp_path) == before

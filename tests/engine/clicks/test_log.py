from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.clicks.log import ClickEntry, ClickLog
from stages.records import PromptRecord

PROMPT = PromptRecord(points_xy=((1.5, 2.0), (3.0, 4.0)), point_labels=(1, 0))
BOX = PromptRecord(box_xyxy=(1.0, 2.0, 3.0, 4.0))


def make_entry(**fields: Any) -> ClickEntry:
    defaults: dict[str, Any] = {
        "at": 1000.25,
        "project": "3",
        "task": "17",
        "image_id": "a" * 32,
        "prompt": PROMPT,
        "region_id": "b" * 32,
        "model_id": "d15c" * 4,
        "milliseconds": 41.5,
    }
    return ClickEntry(**(defaults | fields))


@pytest.mark.parametrize(
    "entry",
    [
        make_entry(prompt_ids=("x", "y"), granularity="part", predicted_iou=0.91),
        make_entry(prompt=BOX),
        make_entry(prompt=None, region_id=None, image_id=None),
    ],
)
def test_entries_are_read_as_they_were_written(tmp_path: Path, entry: ClickEntry) -> None:
    log = ClickLog(tmp_path)
    log.append(entry)

    assert log.entries("3", "17") == [entry]
    assert log.entries("3", "18") == []


def test_a_torn_line_costs_itself_and_nothing_else(tmp_path: Path) -> None:
    log = ClickLog(tmp_path)
    log.append(make_entry(at=1.0))
    log.append(make_entry(at=2.0))
    file = next(tmp_path.rglob("*.jsonl"))
    file.write_bytes(file.read_bytes()[:-9])

    log.append(make_entry(at=3.0))

    assert [entry.at for entry in log.entries("3", "17")] == [1.0, 3.0]


def test_many_writers_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    log = ClickLog(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: log.append(make_entry(at=float(n))), range(200)))

    assert sorted(entry.at for entry in log.entries("3", "17")) == [float(n) for n in range(200)]


def test_a_killed_writer_leaves_every_entry_it_wrote(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.engine.clicks.test_log import *; log = ClickLog(sys.argv[1])\n"
        "n = 0\nwhile True:\n log.append(make_entry(at=float(n))); n += 1; print(n, flush=True)"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(20)]
    time.sleep(0.05)
    writer.kill()
    writer.communicate()

    assert len(ClickLog(tmp_path).entries("3", "17")) >= len(said)


@pytest.mark.parametrize("task", ["../../escape", "a/b", "", "\0", "x" * 500, "..", "ü"])
def test_ids_do_not_lead_out_of_the_folder(tmp_path: Path, task: str) -> None:
    folder = tmp_path / "log"
    log = ClickLog(folder)
    log.append(make_entry(project=task, task=task))

    assert len(log.entries(task, task)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_only_the_owner_may_read_what_people_did(tmp_path: Path) -> None:
    ClickLog(tmp_path / "log").append(make_entry())

    for path in (tmp_path / "log").rglob("*"):
        assert os.stat(path).st_mode & 0o077 == 0

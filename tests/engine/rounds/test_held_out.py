"""No round sees a held-out photo, whatever it is called there, nor what is too near to one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from engine.rounds.held_out import (
    HELD_OUT,
    LOOKS_ALIKE,
    SAME_SOURCE,
    marks_of,
    photos_to_calibrate_on,
)
from engine.rounds.photos import PHOTOS_FILE
from engine.rounds.run import run_engine
from engine.rounds.settings import EngineSettings
from model.errors import StopError
from pipelines.shards import read_rows
from pipelines.sources import list_photos
from tests.engine.rounds.engines import FAKE_TOOLS, QUICK, make_data, quickly, settings_of
from tests.factories import make_ref


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A pool that nobody else uses, with every kind of held-out photo in it.

    Held-out photo 2 has no object. `alike.png` was saved anew and smaller.
    """
    data = make_data(tmp_path / "data", pool=4)
    truth = json.loads((data / "held-out.json").read_text())
    truth["annotations"] = [a for a in truth["annotations"] if a["image_id"] != 2]
    (data / "held-out.json").write_text(json.dumps(truth))
    shutil.copy(data / "held-out" / "0.png", data / "pool" / "copy.png")
    (data / "pool" / "link.png").symlink_to(data / "held-out" / "1.png")
    shutil.copy(data / "held-out" / "2.png", data / "pool" / "empty.png")
    small = Image.open(data / "held-out" / "0.png").resize((72, 48), Image.Resampling.BILINEAR)
    small.save(data / "pool" / "alike.png")
    return data


def reasons(settings: EngineSettings) -> dict[str, str | None]:
    marks = marks_of(settings)
    pool = list_photos(settings.under_root(settings.pool.source), name=settings.pool.name)
    return {photo.path: marks.of(photo) for photo in pool}


def test_links_copies_photos_without_objects_and_near_duplicates_are_known(
    data: Path, tmp_path: Path
) -> None:
    assert reasons(settings_of(data, tmp_path / "out")) == {
        "0.png": None,
        "1.png": None,
        "2.png": None,
        "3.png": None,
        "alike.png": LOOKS_ALIKE,
        "copy.png": HELD_OUT,
        "empty.png": HELD_OUT,
        "link.png": HELD_OUT,
    }


def test_another_spelling_of_the_folder_and_another_store_do_not_hide_them(
    data: Path, tmp_path: Path
) -> None:
    spelled = settings_of(data, tmp_path / "out", pool={"source": "pool/../held-out"})
    store = fsspec.filesystem("memory")
    for path in (data / "pool").iterdir():
        store.pipe_file(f"/held-out-test/{path.name}", path.read_bytes())
    remote = settings_of(data, tmp_path / "out", pool={"source": "memory://held-out-test"})

    assert set(reasons(spelled).values()) == {HELD_OUT}
    marks = marks_of(remote)
    assert marks.by_name(make_ref(uri="memory://held-out-test/copy.png")) is None
    assert reasons(remote)["copy.png"] == HELD_OUT
    assert reasons(remote)["link.png"] == HELD_OUT
    assert reasons(remote)["0.png"] is None


def test_frames_of_a_held_out_source_are_known_by_their_paths(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    truth = json.loads((data / "held-out.json").read_text())
    truth["images"][0]["file_name"] = "clip7_0003.png"
    (data / "held-out" / "0.png").rename(data / "held-out" / "clip7_0003.png")
    (data / "held-out.json").write_text(json.dumps(truth))
    frames = {"frames_of": r"^(.*)_\d+\.png$"}

    marks = marks_of(settings_of(data, tmp_path / "out", data=frames))

    assert marks.by_name(make_ref("clip7_0001.png")) == SAME_SOURCE
    assert marks.by_name(make_ref("clip8_0001.png")) is None


def test_photos_without_objects_are_neither_measured_nor_calibrated_on(
    data: Path, tmp_path: Path
) -> None:
    known = photos_to_calibrate_on(settings_of(data, tmp_path / "out"), 9)

    assert sorted(photo.path.name for photo in known) == ["0.png", "1.png"]


def test_rounds_choose_none_of_them_and_say_how_many_they_met(data: Path, tmp_path: Path) -> None:
    photos = {"count": 9, "order": "least_sure"}
    automatic = [{"stage": "automatic", "photos": photos, "proposing": QUICK}]

    ledger = quickly(data, tmp_path / "out", rounds=automatic).ledger

    planned = ledger.find(1, "plan")
    assert planned is not None
    lines = (tmp_path / "out" / "rounds" / "01" / PHOTOS_FILE).read_text().splitlines()
    assert sorted(json.loads(line)[2] for line in lines) == [f"{n}.png" for n in range(4)]
    assert planned.counts == {"photos": 4, "free": 0, HELD_OUT: 3, LOOKS_ALIKE: 1}


def test_a_data_set_leaves_them_out_of_masks_that_were_there_before(
    data: Path, tmp_path: Path
) -> None:
    truth: dict[str, Any] = json.loads((data / "pool.json").read_text())
    for number, name in enumerate(("copy.png", "alike.png", "link.png"), start=10):
        with Image.open(data / "pool" / name) as photo:
            width, height = photo.size
        truth["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        square = [2, 2, 12, 2, 12, 12, 2, 12]
        truth["annotations"].append(
            {"id": 100 + number, "image_id": number, "segmentation": [square], "area": 100}
            | {"bbox": [2, 2, 10, 10]}
        )
    (data / "existing.json").write_text(json.dumps(truth))
    existing = [{"format": "coco", "path": "existing.json", "photos": "pool"}]

    again = [{"stage": "assisted_manual", "photos": {"count": 1, "existing_again": True}}]

    ledger = quickly(data, tmp_path / "out", existing=existing, rounds=again).ledger
    built = ledger.find(1, "build")

    assert built is not None
    assert built.figures["photos_left_out"] == {HELD_OUT: 2, LOOKS_ALIKE: 1}
    rows = list(read_rows(f"{tmp_path}/out/{built.outputs['train']}"))
    assert {row.ref.path for row in rows} == {f"{number}.png" for number in range(4)}


def test_nothing_else_left_stops_with_the_number_that_was_left_out(
    data: Path, tmp_path: Path
) -> None:
    spelled = {"source": "pool/../held-out"}
    settings = settings_of(data, tmp_path / "out", pool=spelled, people={"truth": "held-out.json"})

    with pytest.raises(StopError, match="none of the pool's 3 photos is left"):
        run_engine(settings, tools=FAKE_TOOLS)


def test_plain_photos_are_not_taken_for_near_duplicates_of_each_other(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", pool=12, held_out=12)

    found = list(reasons(settings_of(data, tmp_path / "out")).values())

    assert np.mean([reason is None for reason in found]) > 0.8

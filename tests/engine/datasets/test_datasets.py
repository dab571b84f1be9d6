"""A finished data set from rounds: built, described, compared, and one photo taken out again."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from engine.cli import app
from engine.console import progress
from engine.datasets.build import build_dataset
from engine.datasets.checksums import wrong_files
from engine.datasets.compare import Difference, difference
from engine.datasets.remove import remove_photo
from engine.datasets.settings import DatasetSettings
from engine.exports.choice import MaskChoice
from engine.exports.coco import CocoFormat
from engine.exports.sa1b import Sa1bFormat
from engine.exports.work import export_run
from engine.rounds.ledger import open_ledger
from engine.rounds.photos import plan
from engine.rounds.run import context_of, run_engine
from model.errors import ConfigurationError
from pipelines.lock import folder_lock
from pipelines.reviews import append_reviews
from pipelines.shards import read_rows
from pipelines.status import run_status
from pipelines.storage import Folder
from stages.photos import PhotoLimits
from stages.reviews import ReviewRecord
from tests.engine.rounds.engines import FAKE_TOOLS, QUICK, make_data, settings_of


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine of two rounds, and its configuration file."""
    folder = tmp_path_factory.mktemp("engine")
    data = make_data(folder / "data", pool=3, held_out=2)
    rounds = [
        {"stage": "assisted_manual", "photos": {"count": 2}},
        {"stage": "automatic", "photos": {"count": 1}, "proposing": QUICK},
    ]
    settings = settings_of(data, folder / "out", rounds=rounds)
    run_engine(settings, tools=FAKE_TOOLS)
    (folder / "engine.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    return folder


def build(engine: Path, out: Path, **changes: Any) -> dict[str, Any]:
    settings = {"engine": str(engine / "engine.yaml"), "name": "discs", "licence": "CC0-1.0"}
    return build_dataset(DatasetSettings.model_validate(settings | changes), str(out))


def test_it_holds_shards_statistics_cards_and_checksums(engine: Path, tmp_path: Path) -> None:
    numbers = build(engine, tmp_path / "set")

    assert (numbers["photos"], numbers["masks_by_people"]) == (3, 4)
    card = (tmp_path / "set" / "README.md").read_text()
    assert card.startswith("---\npretty_name: discs\nlicense: cc0-1.0")
    assert "| rounds | 1, 2 |" in card
    assert "promoted" in (tmp_path / "set" / "MODEL_CARD.md").read_text()
    annotation = (tmp_path / "set" / "ANNOTATION_CARD.md").read_text()
    assert "| 1 | assisted_manual | 2 | 4 |" in annotation
    assert wrong_files(Folder(str(tmp_path / "set"))) == []
    assert all(row.image for row in read_rows(str(tmp_path / "set")))


def test_what_people_refused_in_any_round_stays_out_and_the_engine_can_be_elsewhere(
    engine: Path, tmp_path: Path
) -> None:
    shutil.copytree(engine / "out", tmp_path / "moved")
    run = tmp_path / "moved" / "rounds" / "01" / "collected"
    refused, other = (row.masks[0].mask_id for row in read_rows(str(run), columns=["masks"]))
    row = next(iter(read_rows(str(run), columns=[])))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    reviews = [
        ReviewRecord(mask, row.ref.image_id, verdict, "ann", None, at)
        for mask, verdict in ((refused, "reject"), (other, "accept"))
    ]
    append_reviews(Folder(str(run)), reviews)

    build(engine, tmp_path / "set", engine_settings={"out": str(tmp_path / "moved")})

    rows = list(read_rows(str(tmp_path / "set"), columns=["masks", "dropped"]))
    assert refused not in {mask.mask_id for row in rows for mask in row.masks}
    assert other in {mask.mask_id for row in rows for mask in row.masks}
    assert sum(row.dropped.get("rejected_by_people", 0) for row in rows) == 1
    assert not list(engine.rglob("*index"))
    assert not (tmp_path / "set" / "_tmp").exists()
    with pytest.raises(ConfigurationError, match="unknown key 'ou'; did you mean 'out'"):
        build(engine, tmp_path / "none", engine_settings={"ou": "x"})


def test_a_changed_file_is_found_by_its_checksum(engine: Path, tmp_path: Path) -> None:
    build(engine, tmp_path / "set")
    whole = CliRunner().invoke(app, ["dataset", "check", str(tmp_path / "set")])
    (tmp_path / "set" / "README.md").write_text("other")
    changed = CliRunner().invoke(app, ["dataset", "check", str(tmp_path / "set")])

    assert whole.exit_code == 0
    assert changed.exit_code == 1
    assert "1 files are gone or changed, such as README.md" in changed.stderr


def test_chosen_rounds_and_the_difference_between_two_sets(engine: Path, tmp_path: Path) -> None:
    build(engine, tmp_path / "all")
    build(engine, tmp_path / "people", rounds=(1,))

    found = difference(str(tmp_path / "people"), str(tmp_path / "all"))

    assert len(found.photos_added) == 1
    assert found.photos_removed == ()
    nothing = difference(str(tmp_path / "all"), str(tmp_path / "all"))
    assert nothing == Difference((), (), {}, 0, 0)
    with pytest.raises(ConfigurationError, match="no masks of round 7 are there yet"):
        build(engine, tmp_path / "none", rounds=(7,))


def export(run: Path, out: Path, export_format: Any) -> None:
    with progress("", "") as meter:
        export_run(
            str(run),
            str(out),
            export_format,
            MaskChoice(),
            with_photos=True,
            limits=PhotoLimits(),
            meter=meter,
        )


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def test_a_photo_is_taken_out_of_shards_and_exports_and_that_is_recorded(
    engine: Path, tmp_path: Path
) -> None:
    masks = build(engine, tmp_path / "set")["masks"]
    export(tmp_path / "set", tmp_path / "coco", CocoFormat())
    export(tmp_path / "set", tmp_path / "sa1b", Sa1bFormat())
    image = next(iter(read_rows(str(tmp_path / "set")))).ref.image_id
    places = [str(tmp_path / name) for name in ("set", "coco", "sa1b")]

    removed = remove_photo(image, places, reason="asked to")

    assert [one.masks for one in removed] == [2, 2, 2]
    row = next(row for row in read_rows(places[0]) if row.ref.image_id == image)
    assert (row.masks, row.image) == ((), None)
    assert row.error is not None
    assert row.error.message == "taken out of the data set: asked to"
    assert run_status(places[0]).failures == {"removed": 1}
    assert wrong_files(Folder(places[0])) == []
    record = json.loads((tmp_path / "set" / "removals.jsonl").read_text())
    assert (record["image_id"], record["masks"], record["reason"]) == (image, 2, "asked to")
    coco = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert len(coco["images"]) == 2
    assert not {a["image_id"] for a in coco["annotations"]} - {i["id"] for i in coco["images"]}
    assert len(list((tmp_path / "sa1b").rglob("sa_*.json"))) == 2
    assert len(list((tmp_path / "sa1b").rglob("*.png"))) == 2

    card = (tmp_path / "set" / "README.md").read_text()
    assert "| photos | 2 |" in card
    assert f"| masks | {masks - 2} |" in card

    before = files(tmp_path)
    again = remove_photo(image, places, reason="again")
    assert [(one.kind, one.masks) for one in again] == [("run", 2)]
    with pytest.raises(ConfigurationError, match="no photo of this id is in"):
        remove_photo("0" * 32, places, reason="")
    assert files(tmp_path) == before


def test_a_photo_taken_out_of_an_engine_comes_back_in_nothing(engine: Path, tmp_path: Path) -> None:
    out = tmp_path / "moved"
    shutil.copytree(engine / "out", out)
    moved = {"engine_settings": {"out": str(out)}}
    build(engine, tmp_path / "before", **moved)
    image = next(iter(read_rows(str(out / "rounds" / "01" / "collected")))).ref.image_id
    training = out / "rounds" / "01" / "training"
    (training / "embeddings").mkdir()

    with folder_lock(Folder(str(out))), pytest.raises(ConfigurationError, match="at work here"):
        remove_photo(image, [str(out)], reason="")
    removed = remove_photo(image, [str(out)], reason="asked to")
    numbers = build(engine, tmp_path / "after", **moved)
    again = build(engine, tmp_path / "before", **moved)

    for run in (path.parent for path in out.rglob("manifest.json")):
        assert not any(r.masks for r in read_rows(str(run)) if r.ref.image_id == image)
    assert not (training / "embeddings").exists()
    assert any("models trained in rounds 1, 2" in what for what in removed[-1].unreached)
    assert numbers["photos"] == again["photos"] == 2
    assert difference(str(tmp_path / "before"), str(tmp_path / "after")).masks_removed == 0
    ledger = open_ledger(str(out))
    settings = settings_of(engine / "data", out)
    context = context_of(settings, 1, ledger, FAKE_TOOLS)
    assert image not in {p.image_id for p in context.read_photos("rounds/01/photos.jsonl")}
    rolled_back = context_of(settings, 1, ledger.rolled_back(1), FAKE_TOOLS)
    chosen = rolled_back.read_photos(str(plan(rolled_back).outputs["photos"]))
    assert image not in {photo.image_id for photo in chosen}


def test_a_place_that_is_nothing_of_ours_is_refused_before_anything_changes(
    engine: Path, tmp_path: Path
) -> None:
    build(engine, tmp_path / "set")
    image = next(iter(read_rows(str(tmp_path / "set")))).ref.image_id
    before = files(tmp_path / "set")

    with pytest.raises(ConfigurationError, match="Nothing was changed"):
        remove_photo(image, [str(tmp_path / "set"), str(tmp_path)], reason="")
    assert files(tmp_path / "set") == before

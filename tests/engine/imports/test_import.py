"""Whole imports: what an export wrote comes back equal, and what is wrong becomes rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.exports.choice import MaskChoice
from engine.exports.coco import CocoFormat
from engine.exports.sa1b import Sa1bFormat
from engine.exports.work import export_run
from engine.imports.work import ImportSettings, import_folder
from model.errors import ConfigurationError
from pipelines.shards import read_rows
from pipelines.status import run_status
from stages.photos import PhotoLimits
from stages.records import MaskRecord
from tests.engine.run_factory import make_run
from tests.factories import make_photo_bytes


def run_import(import_format, annotations, out, **settings):
    return import_folder(
        import_format,
        ImportSettings(annotations=str(annotations), out=str(out), **settings),
        meter=lambda *_: None,
    )


def export(rows, tmp_path, export_format, *, with_photos):
    run = make_run(tmp_path / "run", rows)
    export_run(
        run,
        str(tmp_path / "exported"),
        export_format,
        MaskChoice(),
        with_photos=with_photos,
        limits=PhotoLimits(),
        meter=lambda *_: None,
    )
    return tmp_path / "exported"


def content(mask: MaskRecord, *names: str):
    always = ("segmentation", "bbox", "area", "predicted_iou", "stability_score")
    return tuple(getattr(mask, name) for name in (*always, *names))


def test_sa1b_comes_back_equal(tmp_path, photo_rows):
    exported = export(photo_rows, tmp_path, Sa1bFormat(), with_photos=True)
    summary = run_import("sa1b", exported, tmp_path / "back")
    assert (summary.images, summary.masks, summary.failed) == (4, 6, 0)
    expected = {
        row.sha256: {content(m, "crop_box", "point_coords") for m in row.masks}
        for row in photo_rows[:4]
    }
    rows = list(read_rows(str(tmp_path / "back")))
    assert {
        row.sha256: {content(m, "crop_box", "point_coords") for m in row.masks} for row in rows
    } == expected
    assert {row.stage for row in rows} == {"import"}
    assert run_status(str(tmp_path / "back")).finished


def test_coco_comes_back_equal_with_names_and_the_same_photo_ids(tmp_path, photo_rows):
    exported = export(photo_rows, tmp_path, CocoFormat(), with_photos=False)
    run_import(
        "coco", exported, tmp_path / "back", photos=str(tmp_path / "photos"), source_name="photos"
    )
    expected = {
        row.ref.image_id: {content(m, "category", "level") for m in row.masks}
        for row in photo_rows[:4]
    }
    rows = list(read_rows(str(tmp_path / "back")))
    found = {row.ref.image_id: {content(m, "category", "level") for m in row.masks} for row in rows}
    assert found == expected


def coco_file(folder: Path, images, annotations=(), categories=()):
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "images": list(images),
        "annotations": list(annotations),
        "categories": list(categories),
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def image(number, name, width=64, height=48):
    return {"id": number, "file_name": name, "width": width, "height": height}


def test_photos_that_do_not_fit_become_rows_with_an_error(tmp_path):
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "good.jpg").write_bytes(make_photo_bytes())
    (folder / "images" / "turned.jpg").write_bytes(make_photo_bytes(orientation=6))
    (folder / "images" / "broken.jpg").write_bytes(b"not a photo")
    (tmp_path / "secret.jpg").write_bytes(make_photo_bytes())
    names = ["good.jpg", "turned.jpg", "broken.jpg", "missing.jpg", "../secret.jpg"]
    coco_file(folder, [image(i, name) for i, name in enumerate(names)])
    summary = run_import("coco", folder, tmp_path / "run")
    assert summary.images == 5
    assert summary.failures == {
        "not_an_image": 1,
        "outside_folder": 1,
        "vanished": 1,
        "wrong_size": 1,
    }
    rows = {row.ref.path: row for row in read_rows(str(tmp_path / "run"))}
    assert "do not follow its EXIF" in rows["turned.jpg"].error.message
    assert rows["good.jpg"].error is None


def test_proposals_are_conserved(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(make_photo_bytes())
    square = [[1, 1, 9, 1, 9, 9, 1, 9]]
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": square},
        {"id": 2, "image_id": 7, "category_id": 3, "segmentation": square, "iscrowd": 1},
        {"id": 3, "image_id": 7, "segmentation": [[1, 2]]},
    ]
    coco_file(folder, [image(7, "a.jpg")], annotations, [{"id": 3, "name": "cat"}])
    summary = run_import("coco", folder, tmp_path / "run")
    assert summary.proposals == 3
    assert summary.dropped == {"broken_segmentation": 1, "crowd": 1}
    (row,) = read_rows(str(tmp_path / "run"))
    assert [(mask.category, mask.level) for mask in row.masks] == [("cat", "whole")]


def test_an_interrupted_import_goes_on_to_the_same_bytes(tmp_path, photo_rows):
    exported = export(photo_rows, tmp_path, Sa1bFormat(), with_photos=True)
    run_import("sa1b", exported, tmp_path / "back")
    shards = sorted((tmp_path / "back" / "shards").iterdir())
    whole = {shard.name: shard.read_bytes() for shard in shards}
    shards[-1].unlink()
    (tmp_path / "back" / "summary.json").unlink()
    run_import("sa1b", exported, tmp_path / "back")
    assert {p.name: p.read_bytes() for p in (tmp_path / "back" / "shards").iterdir()} == whole


def test_other_annotations_are_not_mixed_in(tmp_path, photo_rows):
    exported = export(photo_rows, tmp_path, Sa1bFormat(), with_photos=True)
    run_import("sa1b", exported, tmp_path / "back")
    file = next(exported.rglob("sa_1.json"))
    file.write_text(file.read_text() + " ")
    with pytest.raises(ConfigurationError, match="begun differently: annotations_digest"):
        run_import("sa1b", exported, tmp_path / "back")


def test_photos_can_be_embedded(tmp_path, photo_rows):
    exported = export(photo_rows, tmp_path, Sa1bFormat(), with_photos=True)
    run_import("sa1b", exported, tmp_path / "back", embed_images=True)
    assert all(row.image for row in read_rows(str(tmp_path / "back")))


def test_a_json_that_cannot_be_read_is_a_row(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "sa_1.json").write_text("{")
    (tmp_path / "set" / "sa_2.json").write_text('{"image": {"file_name": "a.jpg"}}')
    summary = run_import("sa1b", tmp_path / "set", tmp_path / "run")
    assert summary.failures == {"unreadable_annotation": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 3}, "expected a list of objects under 'images'"),
        ({"images": []}, "no images in it"),
        ({"images": [{"id": 1}]}, "image 1 has no file_name"),
        ({"images": [image(1, "a.jpg"), image(2, "a.jpg")]}, "'a.jpg' is there twice"),
        ({"annotations": [{"id": 5, "image_id": 9}]}, "annotation 5 belongs to image 9"),
        ({"annotations": [{"id": 5, "image_id": [1]}]}, "annotation 5 belongs to image"),
    ],
)
def test_a_coco_file_that_makes_no_sense_is_refused(tmp_path, change, message):
    document = {"images": [image(1, "a.jpg")], "annotations": []} | change
    (tmp_path / "c.json").write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match=message):
        run_import("coco", tmp_path / "c.json", tmp_path / "run")


def test_places_without_annotations_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for import_format in ("coco", "sa1b"):
        with pytest.raises(ConfigurationError, match=r"no \.json file"):
            run_import(import_format, tmp_path / "empty", tmp_path / "run")
        with pytest.raises(ConfigurationError, match="no such"):
            run_import(import_format, tmp_path / "absent", tmp_path / "run")


def test_of_several_coco_files_one_has_to_be_named(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigurationError, match=r"several JSON files \(a.json, b.json\)"):
        run_import("coco", tmp_path, tmp_path / "run")


def test_scores_are_kept_as_the_shards_hold_them(tmp_path, photo_rows):
    rows = [replace(row, masks=row.masks[:1]) for row in photo_rows[:1]]
    exported = export(rows, tmp_path, CocoFormat(), with_photos=True)
    file = exported / "annotations.json"
    file.write_text(file.read_text().replace("0.99609375", "0.1"))
    run_import("coco", exported, tmp_path / "back")
    (row,) = read_rows(str(tmp_path / "back"))
    assert row.masks[0].predicted_iou == pytest.approx(0.1, abs=1e-7)

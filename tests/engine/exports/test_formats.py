"""What is written reads back equal, by this project and by the formats' own readers."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools.coco import COCO

from engine.exports.choice import MaskChoice
from engine.exports.coco import CocoFormat
from engine.exports.png import BinaryMasksFormat, LabelMapFormat
from engine.exports.sa1b import Sa1bFormat
from engine.exports.work import export_run
from model.errors import ConfigurationError
from stages import rle
from stages.photos import PhotoLimits
from stages.records import ImageRow
from tests.engine.run_factory import make_run

ALL_FORMATS = [Sa1bFormat(), CocoFormat(), LabelMapFormat(), BinaryMasksFormat()]


def export(run, out, export_format, *, with_photos=False, **choice):
    return export_run(
        run,
        str(out),
        export_format,
        MaskChoice(**choice),
        with_photos=with_photos,
        limits=PhotoLimits(),
        meter=lambda *_: None,
    )


def numbers_of(out: Path) -> tuple[dict[str, int], dict[int, str]]:
    """(path to image number, mask number to mask id), from the tables."""
    images = pq.read_table(out / "images.parquet").to_pylist()
    masks = pq.read_table(out / "masks.parquet").to_pylist()
    return (
        {image["path"]: image["image_number"] for image in images},
        {mask["mask_number"]: mask["mask_id"] for mask in masks},
    )


def by_id(rows: list[ImageRow]):
    return {mask.mask_id: mask for row in rows for mask in row.masks}


@pytest.mark.parametrize("export_format", ALL_FORMATS, ids=lambda f: type(f).__name__)
def test_counts_add_up_and_the_marker_says_what_is_lost(tmp_path, photo_rows, export_format):
    run = make_run(tmp_path / "run", photo_rows)
    counts = export(run, tmp_path / "out", export_format, min_predicted_iou=0.8)
    assert (counts.images, counts.masks, counts.left_out, counts.failed_images) == (4, 5, 1, 1)
    marker = json.loads((tmp_path / "out" / "export.json").read_text())
    assert marker["masks"] == 5
    assert marker["not_held_by_the_format"] == list(export_format.not_held)
    images = pq.read_table(tmp_path / "out" / "images.parquet").to_pylist()
    assert [image["path"] for image in images if image["error"]] == ["broken.jpg"]


def test_sa1b_keeps_every_mask_with_its_own_keys(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    out = tmp_path / "out"
    export(run, out, Sa1bFormat())
    images, mask_ids = numbers_of(out)
    masks = by_id(photo_rows)
    document = json.loads((out / f"sa_000000/sa_{images['sub/photo 0.png']}.json").read_text())
    assert document["image"] == {
        "image_id": images["sub/photo 0.png"],
        "width": 64,
        "height": 48,
        "file_name": "sub/photo 0.png",
    }
    assert len(document["annotations"]) == 3
    for annotation in document["annotations"]:
        mask = masks[mask_ids[annotation["id"]]]
        assert annotation == {
            "id": annotation["id"],
            "segmentation": {"size": [48, 64], "counts": mask.segmentation.counts},
            "bbox": list(mask.bbox),
            "area": mask.area,
            "predicted_iou": mask.predicted_iou,
            "stability_score": mask.stability_score,
            "crop_box": [0, 0, 64, 48],
            "point_coords": [list(point) for point in mask.point_coords],
        }


def test_pycocotools_reads_every_coco_mask_back(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    out = tmp_path / "out"
    export(run, out, CocoFormat(), with_photos=True)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "annotations.json"))
    _, mask_ids = numbers_of(out)
    masks = by_id(photo_rows)
    assert sorted(coco.anns) == sorted(mask_ids)
    for number, annotation in coco.anns.items():
        mask = masks[mask_ids[number]]
        assert np.array_equal(coco.annToMask(annotation) == 1, rle.decode(mask.segmentation))
        assert annotation["bbox"] == list(mask.bbox)
        name = coco.loadCats(annotation["category_id"])[0]["name"]
        assert name == (mask.category or "object")
    for image in coco.imgs.values():
        with Image.open(out / image["file_name"]) as photo:
            assert photo.size == (image["width"], image["height"])


def test_an_empty_run_is_a_valid_coco_file(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows[-1:])
    export(run, tmp_path / "out", CocoFormat())
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert document["images"] == document["annotations"] == document["categories"] == []


def test_a_label_map_gives_each_pixel_to_one_mask(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    out = tmp_path / "out"
    export(run, out, LabelMapFormat(), masks="no-overlap")
    images, mask_ids = numbers_of(out)
    stem = out / "labels" / "000000" / str(images["sub/photo 0.png"])
    with Image.open(stem.with_suffix(".png")) as image:
        labels = np.asarray(image)
    assert labels.shape == (48, 64)
    by_label = json.loads(stem.with_suffix(".json").read_text())["mask_number_by_label"]
    outer, inner, other = photo_rows[0].masks
    found = {mask_ids[number]: labels == int(label) for label, number in by_label.items()}
    assert np.array_equal(found[inner.mask_id], rle.decode(inner.segmentation))
    assert np.array_equal(found[other.mask_id], rle.decode(other.segmentation))
    expected = rle.decode(outer.segmentation) & ~rle.decode(inner.segmentation)
    assert np.array_equal(found[outer.mask_id], expected)


def test_binary_masks_overlap_without_loss(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    out = tmp_path / "out"
    export(run, out, BinaryMasksFormat())
    images, mask_ids = numbers_of(out)
    masks = by_id(photo_rows)
    folder = out / "masks" / "000000" / str(images["sub/photo 0.png"])
    assert len(list(folder.iterdir())) == 3
    for file in folder.iterdir():
        with Image.open(file) as image:
            pixels = np.asarray(image)
        assert np.array_equal(pixels, rle.decode(masks[mask_ids[int(file.stem)]].segmentation))


def test_photos_come_from_the_shards_where_they_are_embedded(tmp_path, photo_rows):
    rows = [
        row if row.error else replace(row, image=Path(row.ref.uri).read_bytes())
        for row in photo_rows
    ]
    run = make_run(tmp_path / "run", rows, with_images=True)
    for row in photo_rows[:4]:
        Path(row.ref.uri).unlink()
    counts = export(run, tmp_path / "out", Sa1bFormat(), with_photos=True)
    assert not counts.photo_errors
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4


def test_a_photo_that_is_gone_or_changed_is_counted_and_its_masks_kept(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    Path(photo_rows[0].ref.uri).unlink()
    Path(photo_rows[1].ref.uri).write_bytes(Path(photo_rows[2].ref.uri).read_bytes())
    counts = export(run, tmp_path / "out", Sa1bFormat(), with_photos=True)
    assert dict(counts.photo_errors) == {"vanished": 1, "changed": 1}
    assert counts.masks == 6


def test_an_unfinished_run_exports_what_is_there(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows, shards_written=1)
    assert export(run, tmp_path / "out", CocoFormat()).images == 2


def test_a_run_that_has_just_begun_has_nothing_to_export(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows, shards_written=0)
    with pytest.raises(ConfigurationError, match="no shard is done yet"):
        export(run, tmp_path / "out", CocoFormat())
    assert not (tmp_path / "out").exists()


def test_numbers_are_the_same_in_every_export(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    export(run, tmp_path / "all", CocoFormat())
    export(run, tmp_path / "few", Sa1bFormat(), masks="leaves")
    _, everything = numbers_of(tmp_path / "all")
    _, few = numbers_of(tmp_path / "few")
    assert few.items() < everything.items()

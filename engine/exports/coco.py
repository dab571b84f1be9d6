"""COCO's instance format: one JSON for the whole run, written as it is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from engine.exports.numbers import UNNAMED, Numbers
from engine.exports.work import IMAGES_A_FOLDER, NumberedRow
from stages.records import MaskRecord

ANNOTATIONS_FILE: Final = "annotations.json"


class CocoFormat:
    """Writes `annotations.json`, with masks as compressed RLE, which pycocotools reads.

    Photos and annotations are two lists in one file, so annotations wait in a second file until
    the photos are written: nothing is held in memory.
    """

    name: Final = "coco"
    not_held: Final = (
        "nesting and levels (masks.parquet holds them)",
        "which prompt or round made a mask (masks.parquet holds model and person)",
        "photos that failed (images.parquet lists them)",
        "scores are extra keys (predicted_iou, stability_score) that most readers skip",
    )

    def photo_stem(self, number: int) -> str:
        """In `images/`, ten thousand a folder."""
        return f"images/{number // IMAGES_A_FOLDER:06d}/{number}"

    def write(self, rows: Iterable[NumberedRow], folder: Path, numbers: Numbers) -> None:
        """One file; categories are the names that masks have, `object` where they have none."""
        category_ids = {name: place for place, name in enumerate(numbers.categories, start=1)}
        waiting = folder / "annotations.part"
        with (folder / ANNOTATIONS_FILE).open("w", encoding="utf-8") as file:
            file.write('{"info": {"description": "made by mask-engine"}, "licenses": [],\n')
            file.write(f'"categories": {json.dumps(_categories(category_ids))},\n"images": [')
            with waiting.open("w", encoding="utf-8") as annotations:
                _write_lists(rows, file, annotations, category_ids)
            file.write('\n],\n"annotations": [')
            with waiting.open(encoding="utf-8") as annotations:
                shutil.copyfileobj(annotations, file)
            file.write("\n]}\n")
        waiting.unlink()


def _write_lists(
    rows: Iterable[NumberedRow],
    images: IO[str],
    annotations: IO[str],
    category_ids: Mapping[str, int],
) -> None:
    image_separator = annotation_separator = "\n"
    for numbered in rows:
        images.write(image_separator + json.dumps(_image(numbered)))
        image_separator = ",\n"
        for number, mask in numbered.masks:
            item = _annotation(number, numbered.number, mask, category_ids)
            annotations.write(annotation_separator + json.dumps(item))
            annotation_separator = ",\n"


def _categories(category_ids: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for name, number in category_ids.items()]


def _image(numbered: NumberedRow) -> dict[str, Any]:
    row = numbered.row
    return {
        "id": numbered.number,
        "width": row.width,
        "height": row.height,
        "file_name": numbered.photo_file or row.ref.path,
    }


def _annotation(
    number: int, image_number: int, mask: MaskRecord, category_ids: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image_number,
        "category_id": category_ids[mask.category or UNNAMED],
        "segmentation": {
            "size": list(mask.segmentation.size_hw),
            "counts": mask.segmentation.counts,
        },
        "area": mask.area,
        "bbox": list(mask.bbox),
        "iscrowd": 0,
        "predicted_iou": mask.predicted_iou,
        "stability_score": mask.stability_score,
    }

"""SA-1B's layout: one JSON for each photo, keys as Meta published them.

Boxes follow pycocotools (a one-pixel mask is 1 wide) and so differ by a pixel from Meta's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from engine.exports.numbers import Numbers
from engine.exports.work import IMAGES_A_FOLDER, NumberedRow
from stages.records import MaskRecord


class Sa1bFormat:
    """Writes `sa_000000/sa_1.json` and so on, ten thousand a folder."""

    name: Final = "sa1b"
    not_held: Final = (
        "names of objects, nesting and levels",
        "which model, prompt, person or round made a mask (the tables hold model and person)",
        "boxes and points of prompts other than foreground points",
        "photos that failed (images.parquet lists them)",
    )

    def photo_stem(self, number: int) -> str:
        """As in SA-1B: beside the JSON, under the same name."""
        return f"sa_{number // IMAGES_A_FOLDER:06d}/sa_{number}"

    def write(self, rows: Iterable[NumberedRow], folder: Path, numbers: Numbers) -> None:
        """One file a photo, photos without masks included."""
        del numbers
        for numbered in rows:
            target = folder / f"{self.photo_stem(numbered.number)}.json"
            target.parent.mkdir(exist_ok=True)
            target.write_text(json.dumps(sa1b_document(numbered)), encoding="utf-8")


def sa1b_document(numbered: NumberedRow) -> dict[str, Any]:
    """A photo's JSON."""
    row = numbered.row
    name = Path(numbered.photo_file).name if numbered.photo_file else row.ref.path
    return {
        "image": {
            "image_id": numbered.number,
            "width": row.width,
            "height": row.height,
            "file_name": name,
        },
        "annotations": [_annotation(number, mask) for number, mask in numbered.masks],
    }


def _annotation(number: int, mask: MaskRecord) -> dict[str, Any]:
    height, width = mask.segmentation.size_hw
    return {
        "id": number,
        "segmentation": {"size": [height, width], "counts": mask.segmentation.counts},
        "bbox": list(mask.bbox),
        "area": mask.area,
        "predicted_iou": mask.predicted_iou,
        "stability_score": mask.stability_score,
        "crop_box": list(mask.crop_box or (0.0, 0.0, float(width), float(height))),
        "point_coords": [list(point) for point in mask.point_coords],
    }

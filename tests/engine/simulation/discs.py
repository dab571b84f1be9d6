"""Photos of discs on plain ground whose masks are known exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from stages import rle

SIZE_HW = (96, 128)
DISCS = ((30, 30, 16), (90, 60, 22), (20, 80, 4))  # x, y, radius; the last is too small to get


def make_discs(folder: Path, count: int) -> Path:
    """Writes `photos/0.png`... and `truth.json`, a COCO file of the discs; gives that file."""
    (folder / "photos").mkdir()
    images, annotations = [], []
    for number in range(count):
        pixels = np.full((*SIZE_HW, 3), 40, np.uint8)
        images.append(
            {"id": number, "file_name": f"{number}.png", "height": SIZE_HW[0], "width": SIZE_HW[1]}
        )
        for place, (x, y, radius) in enumerate(DISCS):
            rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
            disc = np.hypot(columns - x - 5 * number, rows - y) < radius
            pixels[disc] = (200, 60 * place, 30)
            encoded = rle.encode(disc)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "segmentation": encoded.as_coco() | {"counts": encoded.counts},
                    "area": int(disc.sum()),
                    "bbox": list(rle.bbox_xywh(encoded)),
                }
            )
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    file = folder / "truth.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    return file

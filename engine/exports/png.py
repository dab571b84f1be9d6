"""PNG files: a 16-bit label map where masks cannot overlap, else one picture for each mask."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from engine.exports.numbers import Numbers
from engine.exports.work import IMAGES_A_FOLDER, NumberedRow
from model.errors import MaskEngineError
from stages import rle

MOST_LABELS: Final = 2**16 - 1

_NOT_HELD: Final = (
    "scores, names, nesting and everything else about a mask (masks.parquet holds the most of it)",
    "photos that failed (images.parquet lists them)",
)


class LabelMapFormat:
    """Writes `labels/000000/1.png`: 0 is no mask, k the k-th mask of the JSON beside it."""

    name: Final = "png"
    not_held: Final = (
        "overlap: every pixel belongs to the smallest mask that holds it",
        *_NOT_HELD,
    )

    def photo_stem(self, number: int) -> str:
        """In `images/`, under the number of the photo."""
        return f"images/{number // IMAGES_A_FOLDER:06d}/{number}"

    def write(self, rows: Iterable[NumberedRow], folder: Path, numbers: Numbers) -> None:
        """One map a photo.

        Raises:
            MaskEngineError: if a photo has more masks than 16 bits can tell apart.
        """
        del numbers
        for numbered in rows:
            if len(numbered.masks) > MOST_LABELS:
                raise MaskEngineError(
                    f"{numbered.row.ref.path}: {len(numbered.masks):,} masks, and a 16-bit label "
                    f"map holds {MOST_LABELS:,}. Choose fewer (--min-predicted-iou), or --masks all"
                )
            stem = _stem(folder, "labels", numbered.number)
            _label_map(numbered).save(stem.with_suffix(".png"))
            labels = {str(k): number for k, (number, _) in enumerate(numbered.masks, start=1)}
            document = {"file_name": numbered.row.ref.path, "mask_number_by_label": labels}
            stem.with_suffix(".json").write_text(json.dumps(document), encoding="utf-8")


class BinaryMasksFormat:
    """Writes `masks/000000/1/17.png`: 255 inside mask 17 of photo 1, else 0."""

    name: Final = "png"
    not_held: Final = _NOT_HELD

    def photo_stem(self, number: int) -> str:
        """In `images/`, under the number of the photo."""
        return f"images/{number // IMAGES_A_FOLDER:06d}/{number}"

    def write(self, rows: Iterable[NumberedRow], folder: Path, numbers: Numbers) -> None:
        """One folder a photo, one file a mask."""
        del numbers
        for numbered in rows:
            target = _stem(folder, "masks", numbered.number)
            target.mkdir()
            for number, mask in numbered.masks:
                pixels_HW = rle.decode(mask.segmentation).view(np.uint8) * np.uint8(255)
                Image.fromarray(pixels_HW).convert("1").save(target / f"{number}.png")


def _stem(folder: Path, kind: str, number: int) -> Path:
    parent = folder / kind / f"{number // IMAGES_A_FOLDER:06d}"
    parent.mkdir(parents=True, exist_ok=True)
    return parent / str(number)


def _label_map(numbered: NumberedRow) -> Image.Image:
    labels_HW = np.zeros((numbered.row.height or 0, numbered.row.width or 0), np.uint16)
    for label, (_, mask) in enumerate(numbered.masks, start=1):
        labels_HW[rle.decode(mask.segmentation)] = label
    return Image.fromarray(labels_HW)

"""Records and photos for tests, with a sensible default for everything."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages import ids, rle
from stages.records import ErrorRecord, ImageRef, ImageRow, MaskRecord
from tests.fakes import MODEL_ID


def make_ref(path: str = "a.jpg", source: str = "photos", uri: str | None = None) -> ImageRef:
    return ImageRef(ids.image_id(source, path), source, path, uri or f"/data/{source}/{path}")


def rectangle(box_xywh: tuple[int, int, int, int], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    left, top, width, height = box_xywh
    mask = np.zeros(size_hw, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def make_mask(
    mask_HW: NDArray[np.bool_] | None = None,
    *,
    box_xywh: tuple[int, int, int, int] = (4, 6, 10, 8),
    size_hw: tuple[int, int] = (48, 64),
    image: str | None = None,
    **fields: Any,
) -> MaskRecord:
    """A mask of a rectangle, or of the pixels given."""
    mask = rectangle(box_xywh, size_hw) if mask_HW is None else mask_HW
    segmentation = rle.encode(mask)
    left, top, width, height = rle.bbox_xywh(segmentation)
    defaults: dict[str, Any] = {
        "mask_id": ids.mask_id(
            image or make_ref().image_id,
            segmentation.size_hw,
            segmentation.counts,
            origin=fields.get("origin", "automatic"),
            maker=MODEL_ID,
        ),
        "segmentation": segmentation,
        "bbox": (left, top, width, height),
        "area": rle.area_px(segmentation),
        "origin": "automatic",
        "predicted_iou": 0.9375,
        "stability_score": 0.96875,
        "crop_box": (0.0, 0.0, float(mask.shape[1]), float(mask.shape[0])),
        "point_coords": ((left + width // 2, top + height // 2),),
        "model_id": MODEL_ID,
        "level": "whole",
    }
    return MaskRecord(**(defaults | fields))


def make_row(path: str = "a.jpg", *, source: str = "photos", **fields: Any) -> ImageRow:
    """A row with one mask and a few drops."""
    ref = fields.pop("ref", None) or make_ref(path, source)
    defaults: dict[str, Any] = {
        "stage": "automatic",
        "width": 64,
        "height": 48,
        "sha256": hashlib.sha256(path.encode()).hexdigest(),
        "masks": (make_mask(image=ref.image_id),),
        "dropped": {"below_predicted_iou": 3, "below_stability": 2},
    }
    return ImageRow(ref, **(defaults | fields))


def make_failed_row(path: str = "broken.jpg", *, kind: str = "truncated") -> ImageRow:
    return ImageRow(make_ref(path), "automatic", error=ErrorRecord(kind, "the file ends early"))


def make_pixels(width: int = 64, height: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Coloured rectangles on a plain ground: something to segment."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(6):
        left, top = random.integers(0, width), random.integers(0, height)
        right, bottom = left + random.integers(1, width + 1), top + random.integers(1, height + 1)
        pixels[top:bottom, left:right] = random.integers(0, 256, 3)
    return pixels


def make_photo_bytes(
    width: int = 64,
    height: int = 48,
    *,
    file_format: str = "JPEG",
    seed: int = 0,
    orientation: int | None = None,
    **save_options: Any,
) -> bytes:
    """A photo's file; `orientation` is written as EXIF."""
    buffer = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        save_options["exif"] = exif
    image = Image.fromarray(make_pixels(width, height, seed))
    image.save(buffer, format=file_format, **save_options)
    return buffer.getvalue()

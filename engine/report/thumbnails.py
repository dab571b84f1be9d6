"""Photos and masks at the size they are shown. Touches the photos' addresses, read-only."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from model.errors import RecordError
from pipelines.reading import read_photo
from stages import rle
from stages.photos import PhotoLimits, decode_photo
from stages.records import ImageRow, MaskRecord
from stages.rle import Rle

GREY: Final = 128
JPEG_QUALITY: Final = 82


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A photo made small.

    Attributes:
        pixels_HWC: (h, w, 3) uint8 RGB; plain grey where the photo cannot be shown.
        trouble: why it cannot be shown, or None.
    """

    pixels_HWC: NDArray[np.uint8]
    trouble: str | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels_HWC.shape[0], self.pixels_HWC.shape[1]

    def jpeg(self) -> bytes:
        """The thumbnail as a JPEG file."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels_HWC).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
        return buffer.getvalue()


def thumbnail_hw(width: int, height: int, longest: int) -> tuple[int, int]:
    """Size (h, w) of a photo whose longest side is at most `longest`; never enlarged."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(height * scale)), max(1, round(width * scale))


def photo_thumbnail(row: ImageRow, longest: int, limits: PhotoLimits) -> Thumbnail:
    """Reads a row's photo and makes it small; a photo that cannot be shown is grey."""
    size_hw = thumbnail_hw(row.width or 1, row.height or 1, longest)
    try:
        photo_HWC = _read_photo(row, limits)
    except RecordError as error:
        return Thumbnail(np.full((*size_hw, 3), GREY, np.uint8), _reason(error))
    small = Image.fromarray(photo_HWC).resize(size_hw[::-1], Resampling.LANCZOS, reducing_gap=3.0)
    return Thumbnail(np.asarray(small))


@dataclass(frozen=True, eq=False)
class MaskThumbnail:
    """A mask made small: the part of the thumbnail that it can reach.

    Attributes:
        inside_HW: (h', w') pixels that the mask covers by half; the most covered where there is
            none, so that no mask vanishes.
        left, top: place of the part in the thumbnail.
    """

    inside_HW: NDArray[np.bool_]
    left: int
    top: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the thumbnail."""
        height, width = self.inside_HW.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def mask_thumbnail(mask: MaskRecord, size_hw: tuple[int, int]) -> MaskThumbnail:
    """Makes a mask as small as its photo's thumbnail of `size_hw`; only its box is worked on."""
    (height, width), (h, w) = mask.segmentation.size_hw, size_hw
    left, top, box_w, box_h = rle.bbox_xywh(mask.segmentation)
    x, x_stop = int(left * w / width), math.ceil((left + max(box_w, 1)) * w / width)
    y, y_stop = int(top * h / height), math.ceil((top + max(box_h, 1)) * h / height)
    # pycocotools decodes column by column: transposed, the memory is in the order Pillow reads.
    columns_WH = rle.decode(mask.segmentation).T
    full = Image.fromarray(columns_WH.view(np.uint8) * np.uint8(255))
    box = (y * height / h, x * width / w, y_stop * height / h, x_stop * width / w)
    small = full.resize((y_stop - y, x_stop - x), Resampling.BOX, box=box)
    return MaskThumbnail(_covered(np.asarray(small).T), x, y)


def mask_code(mask: MaskRecord, size_hw: tuple[int, int]) -> Rle:
    """The mask made small, as RLE that the page draws."""
    small = mask_thumbnail(mask, size_hw)
    return rle.encode_patch(small.inside_HW, (small.left, small.top), size_hw)


def _covered(coverage_HW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    inside = coverage_HW >= min(128, max(1, int(coverage_HW.max())))
    if not inside.any():  # covers less than a 500th of a pixel: the middle of its box
        inside[inside.shape[0] // 2, inside.shape[1] // 2] = True
    return np.asarray(inside)


def _read_photo(row: ImageRow, limits: PhotoLimits) -> NDArray[np.uint8]:
    data = row.image
    if data is None:
        data = read_photo(row.ref.uri, limits)
        if row.sha256 and hashlib.sha256(data).hexdigest() != row.sha256:
            raise RecordError("changed", "the photo has changed since the run")
    photo = decode_photo(data, limits)
    if (photo.width, photo.height) != (row.width, row.height):
        raise RecordError("changed", "the photo has another size than in the run")
    return photo.pixels_HWC


def _reason(error: RecordError) -> str:
    if error.kind == "vanished":
        return "the photo is no longer where it was"
    if error.kind == "no_permission":
        return "no permission to read the photo"
    return str(error)

"""Photos and masks at the size they are shown. Touches the photos' addresses, read-only."""

from __future__ import annotations

import hashlib
import io
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


def mask_thumbnail(mask: MaskRecord, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) the mask made small: pixels at least half covered, at least one pixel."""
    return shrink_mask(rle.decode(mask.segmentation), size_hw)


def shrink_mask(mask_HW: NDArray[np.bool_], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) pixels that the mask covers by half; the most covered where there is none."""
    if mask_HW.shape == size_hw:
        return mask_HW
    full = Image.fromarray(mask_HW.view(np.uint8) * np.uint8(255))
    coverage = np.asarray(full.resize(size_hw[::-1], Resampling.BOX))
    small = coverage >= min(128, max(1, int(coverage.max())))
    if not small.any() and mask_HW.any():  # less than a 500th of every pixel
        row, column = np.argwhere(mask_HW)[0] * size_hw // mask_HW.shape
        small[row, column] = True
    return np.asarray(small)


def mask_code(mask: MaskRecord, size_hw: tuple[int, int]) -> Rle:
    """The mask made small, as RLE that the page draws."""
    return rle.encode(mask_thumbnail(mask, size_hw))


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

"""A photo's bytes become upright RGB pixels, or a RecordError that says why not. No network.

What is on the file's surface is settled here, once: EXIF rotation, grey, 16 bits, CMYK, palettes,
transparency, animations. Everything after this module sees (H, W, 3) uint8.
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from model.errors import RecordError
from stages.photo_modes import to_rgb

# Kinds of I/O errors (raised where files are opened) that trying again later may cure.
PASSING_KINDS: Final = frozenset({"network", "timeout"})

# Raster formats that Pillow decodes by itself (MPO is a JPEG to it). A closed list: others, such
# as EPS, start programs.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
EXTENSIONS: Final = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif"),
    *(".heic", ".heif"),  # cannot be read, and shall not be passed over without a word
    *(".tif", ".tiff", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".j2k"),
)

Image.init()  # Pillow knows only some of its formats until then

# `PhotoLimits` replaces Pillow's process-wide guard, which only warns up to twice its limit.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIGNATURES: Final = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM"),
    b"\0\0\0\x0cjP",
)
# Files of the HEIF family name their kind after "ftyp"; of these only AVIF can be read.
_HEIF_BRANDS: Final = frozenset(
    {b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
)
_DECODING_ERRORS: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
    struct.error,
)


class PhotoLimits(BaseModel):
    """What a photo may cost; both are checked before any pixel is decoded."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    max_pixels: int = Field(default=200_000_000, ge=1, description="Most pixels of a photo.")
    max_bytes: int = Field(default=512 * 2**20, ge=1, description="Most bytes of a photo.")


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo.

    Attributes:
        pixels_HWC: (H, W, 3) uint8 RGB, upright.
        sha256: 64 hex digits of the bytes as they were read.
    """

    pixels_HWC: NDArray[np.uint8]
    sha256: str

    @property
    def width(self) -> int:
        """Pixels, after rotation."""
        return int(self.pixels_HWC.shape[1])

    @property
    def height(self) -> int:
        """Pixels, after rotation."""
        return int(self.pixels_HWC.shape[0])


def decode_photo(data: bytes, limits: PhotoLimits | None = None) -> Photo:
    """Decodes the first frame of a file to upright RGB.

    Raises:
        RecordError: of kind `empty`, `too_many_bytes`, `not_an_image`, `too_many_pixels`,
            `truncated` or `unreadable`. A file that ends early is refused whole: half a photo
            would give half the masks without a word.
    """
    with open_photo(data, limits or PhotoLimits()) as image:
        pixels = np.asarray(upright_rgb(image))
    return Photo(np.ascontiguousarray(pixels), hashlib.sha256(data).hexdigest())


def open_photo(data: bytes, limits: PhotoLimits) -> Image.Image:
    """Opens and fully loads the first frame, not yet turned upright.

    Raises:
        RecordError: as `decode_photo`.
    """
    _check_bytes(data, limits)
    image = _open_header(data)
    try:
        _check_pixels(image, limits)
        image.load()
    except _DECODING_ERRORS as error:
        image.close()
        raise _decoding_error(error, image.format) from error
    except RecordError:
        image.close()
        raise
    return image


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1-8; 1 where there is none, or none that can be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODING_ERRORS:
        return 1
    return value if value in _TURNS else 1


def upright_rgb(image: Image.Image) -> Image.Image:
    """A loaded image in 8-bit RGB, turned as its EXIF says (Pillow turns TIFFs on loading).

    Raises:
        RecordError: of kind `unreadable`, if its colour mode cannot be converted.
    """
    turn = _TURNS.get(orientation(image))
    try:
        rgb = to_rgb(image)
        return rgb if turn is None else rgb.transpose(turn)
    except _DECODING_ERRORS as error:
        raise _decoding_error(error, image.format) from error


def _check_bytes(data: bytes, limits: PhotoLimits) -> None:
    if not data:
        raise RecordError("empty", "the file is empty (0 bytes)")
    if len(data) > limits.max_bytes:
        raise RecordError(
            "too_many_bytes", f"the file has {len(data):,} bytes, the limit is {limits.max_bytes:,}"
        )


def _check_pixels(image: Image.Image, limits: PhotoLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise RecordError(
            "too_many_pixels",
            f"{width} x {height} is {width * height:,} pixels, the limit is {limits.max_pixels:,}",
        )


def _open_header(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _DECODING_ERRORS as error:
        raise _header_error(data) from error


def _header_error(data: bytes) -> RecordError:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return RecordError(
            "unreadable",
            "a damaged AVIF, or a HEIF (HEIC) photo, which cannot be read: convert it to JPEG",
        )
    if data.startswith(_SIGNATURES):
        return RecordError(
            "unreadable",
            "starts like a photo, but its header is damaged, cut short, or of a rare kind",
        )
    return RecordError(
        "not_an_image",
        f"no photo of a kind that is read ({', '.join(FORMATS)}): it starts with {data[:8]!r}",
    )


def _decoding_error(error: Exception, format_name: str | None) -> RecordError:
    text = str(error) or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in text or "end of file" in text:
        return RecordError("truncated", f"the {format_name} file ends before its pixels do: {text}")
    return RecordError("unreadable", f"the {format_name} file cannot be decoded: {text}")

"""A photo's file as it may be given away: upright, without EXIF, GPS or comments.

Pixels stay as they are wherever that can be: JPEG and PNG lose only their metadata segments.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Final

from PIL import Image

from model.errors import RecordError
from stages.photos import PhotoLimits, open_photo, orientation, upright_rgb

# JPEG segments that say something about the photo and nothing about its pixels: EXIF and XMP
# (APP1), Photoshop and IPTC (APP13), comments. The colour profile and Adobe's transform stay.
_JPEG_METADATA: Final = frozenset({0xE1, 0xED, 0xFE})
_JPEG_PICTURES_BESIDE: Final = b"MPF\0"
_JPEG_START, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
_JPEG_BARE: Final = frozenset({0x01, _JPEG_START, *range(0xD0, 0xD8)})

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_METADATA: Final = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})

# For photos that had to be turned: no colour subsampling, and loss that nobody can see.
_TURNED_JPEG: Final = {"quality": 95, "subsampling": 0}


def upright_file(data: bytes, limits: PhotoLimits | None = None) -> bytes:
    """The first frame's file, upright and without metadata about people and places.

    A JPEG or PNG that is upright already keeps its pixels' very bytes. A JPEG that has to be
    turned is encoded anew (quality 95), everything else becomes PNG, without loss.

    Raises:
        RecordError: as `photos.decode_photo`.
    """
    with open_photo(data, limits or PhotoLimits()) as image:
        turned = orientation(image) != 1
        if not turned and data.startswith(b"\xff\xd8"):
            return _jpeg_without_metadata(data)
        if not turned and data.startswith(_PNG_SIGNATURE):
            return _png_without_metadata(data)
        pixels = upright_rgb(image)
    return _encode(pixels, as_jpeg=data.startswith(b"\xff\xd8"))


def _encode(image: Image.Image, *, as_jpeg: bool) -> bytes:
    image.info.clear()
    buffer = io.BytesIO()
    if as_jpeg:
        image.save(buffer, format="JPEG", **_TURNED_JPEG)
    else:
        image.save(buffer, format="PNG")
    return buffer.getvalue()


def _jpeg_without_metadata(data: bytes) -> bytes:
    """Drops metadata, and whatever follows the first picture: previews, films, depth maps."""
    return b"".join(
        segment
        for marker, segment in _jpeg_segments(data)
        if marker not in _JPEG_METADATA
        and not (marker == 0xE2 and segment[4:8] == _JPEG_PICTURES_BESIDE)
    )


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (marker, bytes with marker) up to the end of the first picture."""
    at = 0
    while at < len(data):
        marker_at = at
        while data[at : at + 1] == b"\xff":  # any number of fill bytes may stand before a marker
            at += 1
        if at == marker_at or at >= len(data):
            raise RecordError("unreadable", f"no JPEG marker at byte {marker_at:,}")
        marker = data[at]
        at += 1
        if marker not in _JPEG_BARE and marker != _JPEG_END:
            (length,) = struct.unpack_from(">H", data, at)
            at += length
        if marker == _JPEG_SCAN:
            at = _end_of_scan(data, at)
        yield marker, data[marker_at:at]
        if marker == _JPEG_END:
            return


def _end_of_scan(data: bytes, at: int) -> int:
    """Index of the next marker that is neither a stuffed byte nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            return len(data)
        following = data[at + 1 : at + 2]
        if following not in (b"\0", b"\xff") and not b"\xd0" <= following <= b"\xd7":
            return at
        at += 1 if following == b"\xff" else 2


def _png_without_metadata(data: bytes) -> bytes:
    kept = [_PNG_SIGNATURE]
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        stop = at + 12 + length
        if kind not in _PNG_METADATA:
            kept.append(data[at:stop])
        if kind == b"IEND":
            break
        at = stop
    return b"".join(kept)

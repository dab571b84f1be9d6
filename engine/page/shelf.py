"""The photos a page shows: which there are, and each in a form that browsers can read."""

from __future__ import annotations

import io
from typing import Any, Final

from PIL import Image

from engine.backend.errors import RequestError
from engine.backend.photo_door import PhotoDoor
from model.errors import RecordError
from pipelines.sources import list_photos
from stages.photos import PhotoLimits, decode_photo
from stages.records import ImageRef

# What browsers read, by the file's first bytes; all else is decoded here and sent as PNG.
_SHOWN_AS_IS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
)


class PhotoShelf:
    """Photos of one source, by id. Reads them through the door of the click backend.

    Args:
        source: as `mask-engine auto` takes it.
        source_name: its name, part of every id.
        limits: what a photo may cost.
    """

    def __init__(self, source: str, source_name: str | None, limits: PhotoLimits) -> None:
        self._door = PhotoDoor(source, source_name)
        self._door.open()
        self._limits = limits
        self.photos: list[ImageRef] = list(list_photos(source, name=source_name))
        self._by_id = {photo.image_id: photo for photo in self.photos}

    def find(self, image_id: str) -> ImageRef:
        """A photo by its id.

        Raises:
            RequestError: if it is none of the source's.
        """
        photo = self._by_id.get(image_id)
        if photo is None:
            raise RequestError(404, f"no photo has the id {image_id[:40]!r}")
        return photo

    def read(self, photo: ImageRef, limits: PhotoLimits) -> bytes:
        """The photo's file, as `PhotoDoor.read` gives it."""
        return self._door.read(photo, limits)

    def shown(self, image_id: str) -> tuple[bytes, str]:
        """A photo's bytes and media type.

        Raises:
            RequestError: if there is none, or it cannot be read.
        """
        photo = self.find(image_id)
        try:
            data = self.read(photo, self._limits)
            for start, media_type in _SHOWN_AS_IS:
                if data.startswith(start):
                    return data, media_type
            return _as_png(decode_photo(data, self._limits).pixels_HWC), "image/png"
        except RecordError as error:
            raise unreadable(photo, error) from None

    def size_hw(self, image_id: str) -> tuple[int, int]:
        """Height and width of the upright photo.

        Raises:
            RequestError: if it cannot be read.
        """
        photo = self.find(image_id)
        try:
            decoded = decode_photo(self.read(photo, self._limits), self._limits)
        except RecordError as error:
            raise unreadable(photo, error) from None
        return decoded.height, decoded.width


def unreadable(photo: ImageRef, error: RecordError) -> RequestError:
    """What is answered for a photo that cannot be read."""
    hint = "try again" if error.passing else "it has to be mended where it is stored"
    return RequestError(
        503 if error.passing else 422, f"{photo.path} cannot be read ({error.kind}): {hint}"
    )


def _as_png(pixels_HWC: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels_HWC).save(target, "PNG", compress_level=1)
    return target.getvalue()

"""A described photo and the photo itself become a row; what does not fit becomes its error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from engine.imports.annotated import AnnotatedPhoto
from engine.imports.masks import masks_of
from model.errors import ConfigurationError, RecordError
from pipelines.reading import read_photo
from stages.nesting import nest
from stages.parameters import AutomaticParameters
from stages.photos import Photo, PhotoLimits, decode_photo
from stages.records import ErrorRecord, ImageRef, ImageRow
from stages.upright import upright_file

STAGE: Final = "import"
NESTING_CONTAINMENT: Final = AutomaticParameters().nesting_containment


@dataclass(frozen=True)
class PhotoFolder:
    """Where the photos of annotations lie; nothing outside of it is ever opened.

    Attributes:
        root: absolute path of the folder.
    """

    root: str

    @classmethod
    def beside(cls, annotations: str, photos: str | None) -> PhotoFolder:
        """The folder that was named, or the one in which the annotations are.

        Raises:
            ConfigurationError: if the named one is not there.
        """
        if photos is None:
            place = Path(annotations).expanduser().resolve()
            return cls(str(place if place.is_dir() else place.parent))
        folder = Path(photos).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigurationError(f"--photos {photos}: no such folder")
        return cls(str(folder))

    def address(self, path: str) -> str:
        """Where a photo is: as its path says, or in `images/` beside the annotations.

        A path that leads out of the folder (annotations come from anywhere) has the address of
        no file, so that its photo becomes a row with an error.
        """
        if not _is_below(path):
            return ""
        plain = Path(self.root) / path
        below = Path(self.root) / "images" / path
        return str(below if below.is_file() and not plain.is_file() else plain)


def row_of(ref: ImageRef, photo: AnnotatedPhoto, limits: PhotoLimits, *, embed: bool) -> ImageRow:
    """A photo's row, with its masks or with its error."""
    try:
        return _readable(ref, photo, limits, embed=embed)
    except RecordError as error:
        return ImageRow(ref, STAGE, error=ErrorRecord(error.kind, str(error)))


def _readable(
    ref: ImageRef, photo: AnnotatedPhoto, limits: PhotoLimits, *, embed: bool
) -> ImageRow:
    if photo.trouble is not None:
        raise RecordError("unreadable_annotation", photo.trouble)
    if not ref.uri:
        raise RecordError("outside_folder", f"{ref.path}: leads out of the folder of the photos")
    data = read_photo(ref.uri, limits)
    pixels = decode_photo(data, limits)
    _check_size(ref, photo, pixels)
    masks, dropped = masks_of(photo, ref.image_id, (pixels.height, pixels.width))
    return ImageRow(
        ref,
        STAGE,
        width=pixels.width,
        height=pixels.height,
        sha256=pixels.sha256,
        image=upright_file(data, limits) if embed else None,
        masks=nest(masks, NESTING_CONTAINMENT),
        dropped=dict(dropped),
    )


def _check_size(ref: ImageRef, photo: AnnotatedPhoto, pixels: Photo) -> None:
    """Masks for another size would lie in the wrong place, so they are refused."""
    said = (photo.width or pixels.width, photo.height or pixels.height)
    found = (pixels.width, pixels.height)
    if said == found:
        return
    turned = " (turned: the annotations do not follow its EXIF)" if said == found[::-1] else ""
    raise RecordError(
        "wrong_size",
        f"{ref.path}: the photo is {found[0]} x {found[1]}, its annotations are for "
        f"{said[0]} x {said[1]}{turned}",
    )


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path)
    return not (parts.is_absolute() or ".." in parts.parts or "://" in path or "\\" in path)

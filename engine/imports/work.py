"""Annotations become a run like any other: planned, atomic, and a re-run goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engine.console import Meter
from engine.imports.annotated import AnnotationReader
from engine.imports.coco import CocoReader
from engine.imports.rows import STAGE, PhotoFolder, row_of
from engine.imports.sa1b import Sa1bReader
from pipelines.imported import write_imported_run
from pipelines.progress import Progress
from pipelines.summary import Summary
from stages import ids
from stages.photos import PhotoLimits
from stages.records import ImageRef, ImageRow
from stages.schema import SCHEMA_VERSION

READERS: Final[Mapping[str, Callable[[str], AnnotationReader]]] = MappingProxyType(
    {"sa1b": Sa1bReader, "coco": CocoReader}
)

# Raised whenever the same annotations would give other masks than before.
ALGORITHM_VERSION: Final = 1


class ImportSettings(BaseModel):
    """A complete import."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    annotations: str = Field(description="A folder of annotations, or COCO's JSON file.")
    out: str = Field(description="The new run's folder: a path or an fsspec URL.")
    photos: str | None = Field(
        default=None, description="Folder of the photos; beside the annotations if unset."
    )
    source_name: str | None = Field(
        default=None, min_length=1, description="Name of the source, part of every id."
    )
    embed_images: bool = Field(default=False, description="Keep the photos in the shards.")
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )


def import_folder(
    import_format: str,
    settings: ImportSettings,
    *,
    meter: Meter,
    without: Collection[str] = frozenset(),
) -> Summary:
    """Imports annotations as a run; memory does not grow with their number (COCO's file aside).

    Args:
        import_format: a key of `READERS`.
        settings: what and where.
        meter: told of every photo done.
        without: ids of photos that must not come in.

    Raises:
        ConfigurationError: if the annotations cannot be read, or the folder is another run's.
        StopError: if the disk is full.
        ShardError: if a shard cannot be written.
    """
    reader = READERS[import_format](settings.annotations)
    photos = PhotoFolder.beside(settings.annotations, settings.photos)
    name = settings.source_name or Path(settings.annotations).expanduser().resolve().stem

    def make_row(ref: ImageRef) -> ImageRow:
        return row_of(ref, reader.read(ref.path), settings.limits, embed=settings.embed_images)

    def tell(now: Progress) -> None:
        meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

    return write_imported_run(
        settings.out,
        [
            ImageRef(ids.image_id(name, path), name, path, photos.address(path))
            for path in reader.paths()
            if ids.image_id(name, path) not in without
        ],
        make_row,
        source=photos.root,
        configuration={
            "stage": STAGE,
            "format": import_format,
            "annotations_digest": reader.digest(),
            "limits": settings.limits.model_dump(mode="json"),
            "schema_version": SCHEMA_VERSION,
            "algorithm_version": ALGORITHM_VERSION,
        },
        embed_images=settings.embed_images,
        progress=tell,
    )

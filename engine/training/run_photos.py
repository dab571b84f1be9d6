"""Photos with masks out of this project's own shards: what a round's people and model left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.training.annotated import AnnotatedPhoto
from model.errors import ConfigurationError
from pipelines.shards import read_rows
from stages.records import ImageRow


def read_run(run: str, exclude_names: frozenset[str] = frozenset()) -> list[AnnotatedPhoto]:
    """The latest revision of every readable photo of a run that has a mask.

    Args:
        run: its folder, a path or an fsspec URL.
        exclude_names: file names of photos that must not be used.

    Raises:
        ConfigurationError: no run, or its photos lie where they cannot be opened as files.
    """
    rows = (row for row in read_rows(run) if row.error is None and row.masks)
    photos = [_photo(row) for row in rows]
    return [photo for photo in photos if photo.path.name not in exclude_names]


def _photo(row: ImageRow) -> AnnotatedPhoto:
    path = Path(row.ref.uri.removeprefix("file://"))
    if row.image is None and not path.exists():
        raise ConfigurationError(
            f"photo {row.ref.uri} of this run is not a file here: bring the photos back, or make "
            "the run with --embed-images"
        )
    return AnnotatedPhoto(
        path=path,
        height_px=row.height or 0,
        width_px=row.width or 0,
        boxes_xywh=np.array([mask.bbox for mask in row.masks], np.float32),
        segmentations=tuple(mask.segmentation.as_coco() for mask in row.masks),
        encoded=row.image,
    )

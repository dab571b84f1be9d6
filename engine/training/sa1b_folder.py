"""Photos with masks as SA-1B has them: one JSON file beside each photo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from engine.training.annotated import AnnotatedPhoto
from model.errors import ConfigurationError


def read_sa1b(
    folder: Path, images: Path, exclude_names: frozenset[str] = frozenset()
) -> list[AnnotatedPhoto]:
    """Read a folder of SA-1B files, in the order of their names.

    Raises:
        ConfigurationError: one of the JSON files is not SA-1B's.
    """
    found = (_read_one(file, images) for file in sorted(folder.glob("*.json")))
    return [p for p in found if len(p.segmentations) and p.path.name not in exclude_names]


def _read_one(file: Path, images: Path) -> AnnotatedPhoto:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        entry, annotations = document["image"], document["annotations"]
        return AnnotatedPhoto(
            path=images / entry["file_name"],
            height_px=entry["height"],
            width_px=entry["width"],
            boxes_xywh=np.array([a["bbox"] for a in annotations], np.float32).reshape(-1, 4),
            segmentations=tuple(a["segmentation"] for a in annotations),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{file}: not an SA-1B file ({type(error).__name__}: {error}); "
            'expected JSON with "image" and "annotations"'
        ) from None

"""Photos with masks in COCO's format; crowds are left out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.training.annotated import AnnotatedPhoto
from model.errors import ConfigurationError


def read_coco(
    annotations: Path, images: Path, exclude_names: frozenset[str] = frozenset()
) -> list[AnnotatedPhoto]:
    """Read a COCO file; photos without a usable mask and those in `exclude_names` are left out.

    Raises:
        ConfigurationError: not a COCO file.
    """
    try:
        document = json.loads(annotations.read_text(encoding="utf-8"))
        by_image = _usable_by_image(document["annotations"])
        entries = document["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{annotations}: not a readable COCO file ({type(error).__name__}: {error}); "
            'expected JSON with "images" and "annotations"'
        ) from None
    return [
        AnnotatedPhoto(
            path=images / entry["file_name"],
            height_px=entry["height"],
            width_px=entry["width"],
            boxes_xywh=np.array([a["bbox"] for a in by_image[entry["id"]]], np.float32),
            segmentations=tuple(a["segmentation"] for a in by_image[entry["id"]]),
        )
        for entry in entries
        if by_image[entry["id"]] and entry["file_name"] not in exclude_names
    ]


def _usable_by_image(
    annotations: list[Mapping[str, Any]],
) -> defaultdict[int, list[Mapping[str, Any]]]:
    by_image: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        if not annotation.get("iscrowd", 0) and annotation["area"] > 0:
            by_image[annotation["image_id"]].append(annotation)
    return by_image

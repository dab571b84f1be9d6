"""Photos with masks in COCO's format: RLE, compressed RLE or polygons; crowds are left out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


@dataclass(frozen=True)
class AnnotatedPhoto:
    """One photo of a COCO file; pixels and masks are read when asked for.

    Attributes:
        path: the photo's file.
        height_px, width_px: as the file says.
        boxes_xywh: one box for each annotation that is not a crowd.
        segmentations: in the same order, as COCO has them.
    """

    path: Path
    height_px: int
    width_px: int
    boxes_xywh: NDArray[np.float32]
    segmentations: Sequence[Any]

    def read_image(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3).

        Raises:
            OSError: the file cannot be read as an image.
        """
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise OSError(f"{self.path}: not an image that OpenCV can read")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def read_masks(self, indices: Iterable[int]) -> list[NDArray[np.uint8]]:
        """Masks (H, W) of 0 and 1 for some of the annotations."""
        return [
            decode_segmentation(self.segmentations[i], self.height_px, self.width_px)
            for i in indices
        ]


def read_coco(
    annotations: Path, images: Path, exclude_names: frozenset[str] = frozenset()
) -> list[AnnotatedPhoto]:
    """Read a COCO file; photos without a usable mask and those in `exclude_names` are left out."""
    document = json.loads(annotations.read_text(encoding="utf-8"))
    by_image: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        if not annotation.get("iscrowd", 0) and annotation["area"] > 0:
            by_image[annotation["image_id"]].append(annotation)
    return [
        AnnotatedPhoto(
            path=images / entry["file_name"],
            height_px=entry["height"],
            width_px=entry["width"],
            boxes_xywh=np.array([a["bbox"] for a in by_image[entry["id"]]], np.float32),
            segmentations=tuple(a["segmentation"] for a in by_image[entry["id"]]),
        )
        for entry in document["images"]
        if by_image[entry["id"]] and entry["file_name"] not in exclude_names
    ]


def decode_segmentation(segmentation: Any, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """COCO's polygons, RLE or compressed RLE to a mask (H, W) of 0 and 1."""
    if isinstance(segmentation, list):
        rles = coco_mask.frPyObjects(segmentation, height_px, width_px)
        return np.asarray(coco_mask.decode(coco_mask.merge(rles)), np.uint8)
    if isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, height_px, width_px)
    return np.asarray(coco_mask.decode(segmentation), np.uint8)

"""One photo with its masks, wherever they come from; pixels are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from engine.photo_size import check_photo_size


@dataclass(frozen=True, eq=False)
class AnnotatedPhoto:
    """A photo and its masks, still encoded.

    Attributes:
        path: the photo's file.
        height_px: as the annotations say.
        width_px: as the annotations say.
        boxes_xywh: (N, 4) float32, one box a mask.
        segmentations: N of COCO's polygons, RLE or compressed RLE.
        encoded: the photo's file itself, where the annotations carry it.
    """

    path: Path
    height_px: int
    width_px: int
    boxes_xywh: NDArray[np.float32]
    segmentations: Sequence[Any]
    encoded: bytes | None = None

    def read_image(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3), turned upright as its EXIF says.

        Raises:
            OSError: the file cannot be read as an image.
            ConfigurationError: it has another size than the annotations say.
        """
        if self.encoded is None:
            image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        else:
            image = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise OSError(f"{self.path}: not an image that OpenCV can read")
        height, width = image.shape[:2]
        check_photo_size(self.path, (height, width), (self.height_px, self.width_px))
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def read_masks(self, indices: Iterable[int]) -> list[NDArray[np.uint8]]:
        """Masks (H, W) of 0 and 1 for some of the annotations."""
        return [
            decode_segmentation(self.segmentations[i], self.height_px, self.width_px)
            for i in indices
        ]


def decode_segmentation(segmentation: Any, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """COCO's polygons, RLE or compressed RLE to a mask (H, W) of 0 and 1."""
    if isinstance(segmentation, list):
        rles = coco_mask.frPyObjects(segmentation, height_px, width_px)
        return np.asarray(coco_mask.decode(coco_mask.merge(rles)), np.uint8)
    if isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, height_px, width_px)
    return np.asarray(coco_mask.decode(segmentation), np.uint8)

"""Little annotated photos on disk: bright boxes on a dark ground."""

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

PHOTO_HW = (80, 120)


def boxes_photo(seed: int, boxes: int = 3) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 40, (*PHOTO_HW, 3)).astype(np.uint8)
    masks = []
    for index in range(boxes):
        mask = np.zeros(PHOTO_HW, bool)
        top, left = int(rng.integers(0, 40)), 40 * index + int(rng.integers(0, 8))
        mask[top : top + 36, left : left + 30] = True
        image[mask] = rng.integers(120, 255, 3)
        masks.append(mask)
    return image, masks


def write_coco(folder: Path, photos: int = 3, boxes: int = 3) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(photos):
        image, masks = boxes_photo(number, boxes)
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / "images" / name), image[..., ::-1])
        height, width = PHOTO_HW
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for mask in masks:
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "area": int(mask.sum()),
                    "bbox": [float(v) for v in coco_mask.toBbox(rle)],
                    "iscrowd": 0,
                    "segmentation": {"size": [height, width], "counts": rle["counts"].decode()},
                }
            )
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path

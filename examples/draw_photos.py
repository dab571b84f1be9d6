"""Draws photos with known masks, for trying the engine without data of one's own.

    python examples/draw_photos.py OUT [--photos 20] [--held-out 8] [--side 256]

OUT then holds pool/ and pool.json (for a simulated annotator), held-out/ and held-out.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.training.procedural.scenes import ProceduralScenes
from engine.training.procedural.textures import TextureMaker
from engine.training.scene import Scene, drop_useless_masks
from stages import rle

TEXTURE_SIDE_PX = 320


def main() -> None:
    """Draws what is not there yet."""
    arguments = _arguments()
    scenes = ProceduralScenes(TextureMaker(_textures(), 0.45))
    for name, count, seed in (
        ("pool", arguments.photos, 1),
        ("held-out", arguments.held_out, 2),
    ):
        truth = arguments.out / f"{name}.json"
        if not truth.exists():
            _draw(scenes, arguments.out / name, truth, count, seed, arguments.side)
    print(f"{arguments.out}: {arguments.photos} photos and {arguments.held_out} held out")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--side", type=int, default=256, help="of the square photos, in pixels")
    return parser.parse_args()


def _textures() -> list[Any]:
    """Natural patches from the example photos."""
    photos = sorted((Path(__file__).parent / "photos").glob("*.*g"))
    small = [Image.open(photo).convert("RGB") for photo in photos]
    for image in small:
        image.thumbnail((TEXTURE_SIDE_PX, TEXTURE_SIDE_PX))
    return [np.asarray(image) for image in small]


def _draw(
    scenes: ProceduralScenes, folder: Path, truth: Path, count: int, seed: int, side_px: int
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        scene = scenes.draw(side_px, np.random.default_rng([seed, number]))
        name = f"{number:03d}.png"
        Image.fromarray(scene.image_SSC).save(folder / name)
        images.append({"id": number, "file_name": name, "width": side_px, "height": side_px})
        annotations += _annotations(scene, number, len(annotations))
    document = {"images": images, "annotations": annotations}
    truth.write_text(json.dumps(document), encoding="utf-8")


def _annotations(scene: Scene, image: int, first: int) -> list[dict[str, Any]]:
    masks, _ = drop_useless_masks(scene.masks_NSS, scene.weights_N, min_area_px=100)
    encoded = [rle.encode(mask) for mask in masks]
    return [
        {
            "id": first + place + 1,
            "image_id": image,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": {"size": list(one.size_hw), "counts": one.counts},
            "bbox": list(rle.bbox_xywh(one)),
            "area": rle.area_px(one),
        }
        for place, one in enumerate(encoded)
    ]


if __name__ == "__main__":
    main()

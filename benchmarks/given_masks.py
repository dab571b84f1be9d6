"""What a mask that is given is worth to a model: does what was right in it stay?

    python benchmarks/given_masks.py --truth COCO.json [--images DIR] [--checkpoint C] [--json FILE]

Every true mask is fed back as logits, beside one click on its innermost point, as if it had been
the answer before. A model that heeds its mask prompts gives it back; one that does not draws the
click's answer again, and people's corrections are lost from click to click. Beside it stands what a
mask loses by being a pixel too wide all around: beyond that, there is little for clicks to mend.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.clicking import intersection_over_union, to_photo
from engine.evaluation.truth import TruthPhoto, choose_masks, read_truth
from model.clicks import innermost_point
from model.geometry import Geometry
from model.prompts import Prompt
from model.sam_segmenter import SamSegmenter
from stages.photos import decode_photo

SURENESS: Final = 8.0
"""Of the logits that a mask is fed back as; about what the starter's own answers have."""


def main() -> None:
    """Prints mean IoUs: of answers without the mask and with it, of its logits, of it wider."""
    arguments = _arguments()
    segmenter = SamSegmenter.load(arguments.checkpoint)
    photos = choose_masks(
        read_truth(arguments.truth, arguments.images),
        max_masks=arguments.max_masks,
        max_per_image=6,
        seed=0,
    )
    rows = [row for photo in photos for row in _ious(segmenter, photo)]
    click, given, held, wider = np.mean(rows, axis=0).tolist()
    print(f"{len(rows)} masks of {len(photos)} photos, {arguments.checkpoint}")
    print(f"one click                      {click:.3f}")
    print(f"one click and the true mask    {given:.3f}")
    print(f"the true mask's logits alone   {held:.3f}")
    print(f"the true mask, a pixel wider   {wider:.3f}")
    if arguments.json:
        figures = {"click": click, "click_and_mask": given, "logits": held, "wider": wider}
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--truth", type=Path, required=True, help="COCO file of known masks")
    parser.add_argument("--images", type=Path, help="folder of its photos")
    parser.add_argument("--checkpoint", default="starter", help="name or file")
    parser.add_argument("--max-masks", type=int, default=200, help="masks in all")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _ious(segmenter: SamSegmenter, photo: TruthPhoto) -> Iterator[list[float]]:
    """Of each mask: the answers' IoU without it and with it, its own as logits, and wider."""
    embedding = segmenter.embed(decode_photo(photo.path.read_bytes()).pixels_HWC)
    for known in photo.masks:
        truth, ignored = known.mask(), known.ignored_band()
        logits_hw = _as_logits(truth, embedding.geometry)
        point = [innermost_point(truth)]
        answers = [
            segmenter.segment(embedding, [prompt], multimask=False).logits[0]
            for prompt in (Prompt.of(point), Prompt.of(point, mask_logits=logits_hw))
        ]
        drawn = [to_photo(logits, embedding.geometry) for logits in (*answers, logits_hw)]
        wider = cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        yield [intersection_over_union(mask, truth, ignored) for mask in (*drawn, wider)]


def _as_logits(mask_HW: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float32]:
    """A mask of the photo as low-resolution logits (h, w), by the share that each cell covers."""
    height, width = geometry.scaled_hw
    shares = np.zeros((geometry.input_size, geometry.input_size), np.float32)
    shares[:height, :width] = cv2.resize(
        mask_HW.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    coarse = cv2.resize(shares, geometry.logits_hw[::-1], interpolation=cv2.INTER_AREA)
    return ((2 * coarse - 1) * SURENESS).astype(np.float32)


if __name__ == "__main__":
    main()

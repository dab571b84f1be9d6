"""What it costs a model that it learned on small pictures and works on larger ones.

    python benchmarks/frames.py CHECKPOINT --truth dev.json [--images FOLDER] [--masks 40]

Every mask gets one click twice: in the whole photo at the model's input size, and in a window of
the photo at the same scale that is an input of its own. The pixels are the same; only the frame
that positions count in, and how much else is in the picture, differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.clicking import intersection_over_union, to_photo
from engine.evaluation.truth import TruthPhoto, choose_masks, read_truth
from model.checkpoints import load_checkpoint
from model.clicks import innermost_point
from model.prompts import Prompt
from model.sam_segmenter import SamSegmenter
from stages.photos import decode_photo

WINDOW_SHARES = (5 / 16, 1 / 2)
PHOTO_PX = 256


def main() -> None:
    """Prints the mean IoU of both, for each size of window."""
    arguments = _arguments()
    photos = read_truth(arguments.truth, arguments.images)
    square = [p for p in photos if p.masks[0].size_hw == (PHOTO_PX, PHOTO_PX)]
    chosen = choose_masks(square, max_masks=arguments.masks, max_per_image=2, seed=2)
    whole = _segmenter(arguments.checkpoint, 1.0)
    for share in WINDOW_SHARES:
        alone = _segmenter(arguments.checkpoint, share)
        pairs = [pair for photo in chosen for pair in _of_photo(whole, alone, photo, share)]
        in_photo, in_window = np.mean(pairs, axis=0)
        print(
            f"{len(pairs)} masks, window {alone.input_size} of {whole.input_size} px: IoU "
            f"{in_photo:.3f} in the whole photo, {in_window:.3f} with the window as the input"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--truth", type=Path, required=True, help="COCO file of known masks")
    parser.add_argument("--images", type=Path, help="folder of its photos")
    parser.add_argument("--masks", type=int, default=40)
    return parser.parse_args()


def _segmenter(checkpoint: str, share: float) -> SamSegmenter:
    """The model with an input of a share of its own size."""
    loaded = load_checkpoint(checkpoint)
    loaded.sam.input_size = int(loaded.sam.input_size * share)
    return SamSegmenter(loaded)


def _of_photo(
    whole: SamSegmenter, alone: SamSegmenter, photo: TruthPhoto, share: float
) -> list[tuple[float, float]]:
    image = decode_photo(photo.path.read_bytes()).pixels_HWC
    side_px = int(share * PHOTO_PX)
    return [_both(whole, alone, image, mask.mask(), side_px) for mask in photo.masks]


def _both(
    whole: SamSegmenter,
    alone: SamSegmenter,
    image_HWC: NDArray[np.uint8],
    truth_HW: NDArray[np.bool_],
    side_px: int,
) -> tuple[float, float]:
    """IoU inside the window, of either answer."""
    x, y = innermost_point(truth_HW)
    left, top = (int(np.clip(v - side_px / 2, 0, PHOTO_PX - side_px)) for v in (x, y))
    window = np.s_[top : top + side_px, left : left + side_px]
    truth = truth_HW[window]
    in_photo = _click(whole, image_HWC, (x, y))[window]
    in_window = _click(alone, np.ascontiguousarray(image_HWC[window]), (x - left, y - top))
    return (
        intersection_over_union(in_photo, truth, None),
        intersection_over_union(in_window, truth, None),
    )


def _click(
    segmenter: SamSegmenter, image_HWC: NDArray[np.uint8], point_xy: tuple[float, float]
) -> NDArray[np.bool_]:
    embedding = segmenter.embed(image_HWC)
    answer = segmenter.segment(embedding, [Prompt.of([point_xy])], multimask=True)
    return to_photo(answer.logits[int(answer.predicted_iou.argmax())], answer.geometry)


if __name__ == "__main__":
    main()

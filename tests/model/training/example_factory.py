"""Batches of bright boxes on a dark ground: learnable in a few steps, drawn from their number."""

from collections.abc import Iterator

import numpy as np

from model.training.examples import TrainingBatch, TrainingExample

SIDE = 64


def make_example(number: int, masks: int = 2, *, nothing: int = 0) -> TrainingExample:
    """Example of that number; its first `nothing` clicks are on nothing."""
    rng = np.random.default_rng(number)
    image = rng.integers(0, 40, (SIDE, SIDE, 3)).astype(np.uint8)
    truth = np.zeros((masks, SIDE, SIDE), bool)
    boxes = np.zeros((masks, 4), np.float32)
    for m in range(masks):
        left, top = rng.integers(2, 30, 2)
        truth[m, top : top + 28, left : left + 28] = True
        image[truth[m]] = rng.integers(120, 255, 3)
        boxes[m] = (left, top, left + 27, top + 27)
    truth[:nothing] = False
    points = np.stack([boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)], 1)
    return TrainingExample(
        image_SSC=image,
        masks_MSS=truth,
        points_M2=points.astype(np.float32),
        boxes_M4=boxes,
        is_object_M=np.arange(masks) >= nothing,
        edges_SS=np.zeros((SIDE, SIDE), np.uint8),
    )


def batches(
    first: int = 0, examples: int = 2, *, same: bool = False, nothing: int = 0
) -> Iterator[TrainingBatch]:
    number = first
    while True:
        start = 0 if same else number * examples
        yield TrainingBatch.stack(
            [make_example(start + i, nothing=nothing) for i in range(examples)]
        )
        number += 1

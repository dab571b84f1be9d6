"""What training takes: pictures with masks and first prompts. No torch, no data sets.

Shape suffixes: B pictures, M masks a picture, S side of the square picture in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TrainingExample:
    """One square picture and M masks in it, each with the first prompt an annotator might give.

    Attributes:
        image_SSC: (S, S, 3) uint8 RGB, padded at the bottom and right if need be.
        masks_MSS: (M, S, S) bool; all false where `is_object` is false.
        points_M2: (M, 2) float32 first click, x and y in pixels of the picture.
        boxes_M4: (M, 4) float32 first box, jittered.
        is_object_M: false where the click is on nothing: the model should know that it is.
        edges_SS: (S, S) uint8: 1 on outlines of anything, 0 beside them, 255 not known.
    """

    image_SSC: NDArray[np.uint8]
    masks_MSS: NDArray[np.bool_]
    points_M2: NDArray[np.float32]
    boxes_M4: NDArray[np.float32]
    is_object_M: NDArray[np.bool_]
    edges_SS: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B examples of the same size, stacked; fields as in `TrainingExample`."""

    image_BSSC: NDArray[np.uint8]
    masks_BMSS: NDArray[np.bool_]
    points_BM2: NDArray[np.float32]
    boxes_BM4: NDArray[np.float32]
    is_object_BM: NDArray[np.bool_]
    edges_BSS: NDArray[np.uint8]

    @classmethod
    def stack(cls, examples: Sequence[TrainingExample]) -> TrainingBatch:
        """Stack examples that have the same side and number of masks."""
        return cls(
            image_BSSC=np.stack([e.image_SSC for e in examples]),
            masks_BMSS=np.stack([e.masks_MSS for e in examples]),
            points_BM2=np.stack([e.points_M2 for e in examples]),
            boxes_BM4=np.stack([e.boxes_M4 for e in examples]),
            is_object_BM=np.stack([e.is_object_M for e in examples]),
            edges_BSS=np.stack([e.edges_SS for e in examples]),
        )

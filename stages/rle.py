"""Masks as COCO compressed run-length encoding: the form in which they leave every batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


@dataclass(frozen=True, order=True)
class Rle:
    """A binary mask, losslessly.

    Attributes:
        size_hw: height and width in pixels.
        counts: COCO compressed RLE (column by column, background first).
    """

    size_hw: tuple[int, int]
    counts: str

    def as_coco(self) -> dict[str, object]:
        """The dictionary pycocotools works with."""
        return {"size": list(self.size_hw), "counts": self.counts.encode("ascii")}


def encode(mask_HW: NDArray[np.bool_] | NDArray[np.uint8]) -> Rle:
    """Encodes a mask (H, W); any non-zero value is inside."""
    fortran = np.asfortranarray(mask_HW.astype(np.uint8, copy=False) != 0).view(np.uint8)
    coco = coco_mask.encode(fortran)
    height, width = mask_HW.shape
    return Rle((int(height), int(width)), coco["counts"].decode("ascii"))


def decode(rle: Rle) -> NDArray[np.bool_]:
    """Decodes to a mask (H, W).

    Raises:
        ValueError: if the counts do not fill the size.
    """
    return coco_mask.decode(rle.as_coco()).view(np.bool_)


def area_px(rle: Rle) -> int:
    """Number of pixels inside."""
    return int(coco_mask.area(rle.as_coco()))


def bbox_xywh(rle: Rle) -> tuple[float, float, float, float]:
    """Left, top, width, height in pixels by pycocotools' convention: one pixel is 1 wide."""
    left, top, width, height = coco_mask.toBbox(rle.as_coco()).tolist()
    return left, top, width, height


def pairwise_iou(first: Sequence[Rle], second: Sequence[Rle]) -> NDArray[np.float64]:
    """(len(first), len(second)) intersection over union."""
    return _pairwise(first, second, iscrowd=False)


def pairwise_containment(inner: Sequence[Rle], outer: Sequence[Rle]) -> NDArray[np.float64]:
    """(len(inner), len(outer)) share of each inner mask's area that lies in each outer mask."""
    return _pairwise(inner, outer, iscrowd=True)


def _pairwise(first: Sequence[Rle], second: Sequence[Rle], *, iscrowd: bool) -> NDArray[np.float64]:
    if not first or not second:
        return np.zeros((len(first), len(second)))
    result = coco_mask.iou(
        [rle.as_coco() for rle in first],
        [rle.as_coco() for rle in second],
        [int(iscrowd)] * len(second),
    )
    return np.asarray(result, dtype=np.float64).reshape(len(first), len(second))

"""Masks as COCO compressed run-length encoding: the form in which they leave every batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from stages.rle_counts import format_counts, parse_counts


@dataclass(frozen=True, order=True)
class Rle:
    """A binary mask, losslessly.

    Attributes:
        size_hw: height and width in pixels.
        counts: COCO compressed RLE (column by column, background first).
    """

    size_hw: tuple[int, int]
    counts: str

    def as_coco(self) -> dict[str, Any]:
        """The dictionary pycocotools works with."""
        return {"size": list(self.size_hw), "counts": self.counts.encode("ascii")}


def encode(mask_HW: NDArray[np.bool_] | NDArray[np.uint8]) -> Rle:
    """Encodes a mask (H, W); any non-zero value is inside."""
    height, width = mask_HW.shape
    return encode_patch(mask_HW, (0, 0), (int(height), int(width)))


def encode_patch(
    patch_HW: NDArray[np.bool_] | NDArray[np.uint8],
    left_top: tuple[int, int],
    size_hw: tuple[int, int],
) -> Rle:
    """Encodes a mask of which only a patch is given, without making the whole mask.

    Args:
        patch_HW: any non-zero value is inside.
        left_top: the patch's place in the mask, in pixels.
        size_hw: of the mask.

    Raises:
        ValueError: if the patch does not lie in the mask.
    """
    (left, top), (height, width) = left_top, size_hw
    patch_h, patch_w = patch_HW.shape
    if min(left, top) < 0 or left + patch_w > width or top + patch_h > height:
        raise ValueError(
            f"a patch of {patch_w} x {patch_h} px at {left_top} is not inside {width} x {height}"
        )
    stops = _run_stops(patch_HW, left, top, height)
    if not len(stops) or stops[-1] != height * width:
        stops = np.append(stops, height * width)
    return Rle((height, width), format_counts(np.diff(stops, prepend=0)))


def decode(rle: Rle) -> NDArray[np.bool_]:
    """Decodes to a mask (H, W).

    Raises:
        ValueError: if the counts are damaged or do not fill the size.
    """
    height, width = rle.size_hw
    counts = parse_counts(rle.counts)
    if counts.sum() != height * width:
        raise ValueError(f"RLE counts fill {counts.sum()} px of a mask of {width} x {height}")
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(width, height).T


def decode_patch(rle: Rle, box_ltrb: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Decodes a rectangle of a mask without making the whole mask.

    Args:
        rle: the mask.
        box_ltrb: left, top, right and bottom in pixels, the latter two exclusive, inside it.

    Returns:
        (bottom - top, right - left).
    """
    left, top, right, bottom = box_ltrb
    height = rle.size_hw[0]
    stops = np.cumsum(parse_counts(rle.counts))
    # Runs go down the columns, so columns of the rectangle are one stretch of them.
    begin, end = left * height, right * height
    first = int(np.searchsorted(stops, begin, side="right"))
    last = int(np.searchsorted(stops, end, side="left"))
    cut = np.clip(stops[first : last + 1], begin, end)
    lengths = np.diff(cut, prepend=begin)
    inside = np.arange(first, first + len(lengths)) % 2 == 1
    columns_WH = np.repeat(inside, lengths).reshape(right - left, height)
    patch: NDArray[np.bool_] = columns_WH[:, top:bottom].T
    return patch


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


def _run_stops(
    patch_HW: NDArray[np.bool_] | NDArray[np.uint8], left: int, top: int, mask_h: int
) -> NDArray[np.int64]:
    """Where runs end in the whole mask, read column by column, background first."""
    patch_h, patch_w = patch_HW.shape
    # One more row of background keeps a run from going on in the next column of the patch,
    # which is not the next pixel of the mask unless the patch is as high as the mask.
    column_h = patch_h if patch_h == mask_h else patch_h + 1
    pixels = np.zeros(patch_w * column_h + 2, np.bool_)  # background before and after
    pixels[1:-1].reshape(patch_w, column_h)[:, :patch_h] = patch_HW.T
    column, row = np.divmod(np.flatnonzero(pixels[1:] != pixels[:-1]), column_h)
    stops: NDArray[np.int64] = (left + column) * mask_h + top + row
    return stops


def _pairwise(first: Sequence[Rle], second: Sequence[Rle], *, iscrowd: bool) -> NDArray[np.float64]:
    if not first or not second:
        return np.zeros((len(first), len(second)))
    result = coco_mask.iou(
        [rle.as_coco() for rle in first],
        [rle.as_coco() for rle in second],
        [int(iscrowd)] * len(second),
    )
    return np.asarray(result, dtype=np.float64).reshape(len(first), len(second))

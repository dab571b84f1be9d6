"""Small islands removed, small holes filled (paper, appendix B, post-processing)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

# Diagonal neighbours belong together, as in the released code.
_CONNECTIVITY = 8


@dataclass(frozen=True, eq=False)
class MaskPatch:
    """A part of a mask: everything outside it is background.

    Attributes:
        inside_HW: (h, w) bool.
        left, top: its place in the mask, in pixels.
    """

    inside_HW: NDArray[np.bool_]
    left: int
    top: int


def clean(patch: MaskPatch, size_hw: tuple[int, int], min_area_px: int) -> MaskPatch | None:
    """Removes islands, then fills holes, that are smaller than `min_area_px`.

    The order is the paper's (the released code fills holes first). A hole at the image's border
    counts as one, as in the released code. Only a patch is looked at: what is beyond is background.

    Returns:
        The cleaned mask on a patch of its own, or None if even the largest part is too small.
    """
    if min_area_px == 0:
        return patch
    if not patch.inside_HW.size:  # OpenCV crashes on an image without pixels
        return None
    if _is_one_piece_without_holes(patch, size_hw):
        return patch if np.count_nonzero(patch.inside_HW) >= min_area_px else None
    without_islands = _without_islands(patch, min_area_px)
    if without_islands is None:
        return None
    return _without_holes(without_islands, size_hw, min_area_px)


def tight(patch: MaskPatch) -> MaskPatch:
    """The smallest patch that holds every pixel; an empty mask keeps no pixel at all."""
    rows = np.flatnonzero(patch.inside_HW.any(axis=1))
    columns = np.flatnonzero(patch.inside_HW.any(axis=0))
    if not len(rows):
        return MaskPatch(patch.inside_HW[:0, :0], patch.left, patch.top)
    inside = patch.inside_HW[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return MaskPatch(inside, patch.left + int(columns[0]), patch.top + int(rows[0]))


def _is_one_piece_without_holes(patch: MaskPatch, size_hw: tuple[int, int]) -> bool:
    """Whether there is nothing to clean; a cheap look that spares most masks the labelling.

    Contours know nothing of holes that the image's border closes, so there the answer is no.
    OpenCV's holes are joined by sides only: it sees every hole that we do, and more.
    """
    height, width = patch.inside_HW.shape
    inner = patch.left > 0 and patch.top > 0
    if not inner or patch.left + width >= size_hw[1] or patch.top + height >= size_hw[0]:
        return False
    contours, _ = cv2.findContours(
        _c_ordered(patch.inside_HW), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    return len(contours) == 1


def _without_islands(patch: MaskPatch, min_area_px: int) -> MaskPatch | None:
    labels, areas = _regions(patch.inside_HW)
    large = areas >= min_area_px
    if large.all():
        return patch
    if not large.any():
        return None
    return tight(replace(patch, inside_HW=np.append(False, large)[labels]))


def _without_holes(patch: MaskPatch, size_hw: tuple[int, int], min_area_px: int) -> MaskPatch:
    padded = _with_surroundings(patch, size_hw, min_area_px)
    labels, areas = _regions(~padded.inside_HW)
    small = areas < min_area_px
    if not small.any():
        return patch
    return replace(padded, inside_HW=padded.inside_HW | np.append(False, small)[labels])


def _with_surroundings(patch: MaskPatch, size_hw: tuple[int, int], min_area_px: int) -> MaskPatch:
    """The patch with as much background around it as tells small regions from large ones.

    Background that goes on beyond a side holds that whole side's margin: it is large once the
    margin is, and where the image ends before, nothing is missing.
    """
    height, width = patch.inside_HW.shape
    x_margin, y_margin = -(-min_area_px // height), -(-min_area_px // width)
    left, top = max(0, patch.left - x_margin), max(0, patch.top - y_margin)
    right = min(size_hw[1], patch.left + width + x_margin)
    bottom = min(size_hw[0], patch.top + height + y_margin)
    inside = np.zeros((bottom - top, right - left), np.bool_)
    y, x = patch.top - top, patch.left - left
    inside[y : y + height, x : x + width] = patch.inside_HW
    return MaskPatch(inside, left, top)


def _regions(inside_HW: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(H, W) labels, 0 outside, and the area in pixels of labels 1, 2, ..."""
    pixels = _c_ordered(inside_HW)
    count, labels = cv2.connectedComponents(pixels, connectivity=_CONNECTIVITY)
    if count <= 2:  # measuring regions costs more than finding them
        areas = np.array([np.count_nonzero(pixels)] * (count - 1), np.int64)
    else:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=_CONNECTIVITY)
        areas = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    ordered = labels if inside_HW.flags.c_contiguous else labels.T
    return ordered.astype(np.int32, copy=False), areas


def _c_ordered(inside_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W), or (W, H) where that spares OpenCV a copy: decoded masks lie column by column."""
    lying = inside_HW if inside_HW.flags.c_contiguous else inside_HW.T
    return np.ascontiguousarray(lying).view(np.uint8)

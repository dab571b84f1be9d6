"""Overlapping crops of a photo, and the grid of points to click in each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.records import Box


@dataclass(frozen=True)
class Crop:
    """A window of the upright original, in its pixels; layer 0 is the whole photo."""

    left: int
    top: int
    width: int
    height: int
    layer: int

    @property
    def box_xywh(self) -> Box:
        """As SA-1B writes `crop_box`."""
        return float(self.left), float(self.top), float(self.width), float(self.height)

    def cut(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """This window's pixels, in original resolution, as a view."""
        return image_HWC[self.top : self.top + self.height, self.left : self.left + self.width]


def crops_of(size_hw: tuple[int, int], layers: int, overlap: float) -> list[Crop]:
    """The whole photo, then 2x2 crops, 4x4 crops, and so on, column by column.

    The layout is that of the released generator: neighbours in the 2x2 layer share `overlap`
    times the photo's short side, and half as much with each further layer. A photo that is
    smaller than its number of crops gets only those that hold pixels.
    """
    height, width = size_hw
    crops = [Crop(0, 0, width, height, 0)]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        shared = int(overlap * min(size_hw) * 2 / per_side)
        columns = _windows(width, per_side, shared)
        rows = _windows(height, per_side, shared)
        crops += [
            Crop(left, top, crop_w, crop_h, layer)
            for left, crop_w in columns
            for top, crop_h in rows
        ]
    return crops


def grid_points_xy(points_per_side: int, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """(n * n, 2) pixel positions in the middle of n x n equal cells, row by row."""
    middles = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(middles * size_hw[1], middles * size_hw[0])
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def points_per_side(layer: int, whole_photo: int, downscale: int) -> int:
    """Side of the grid in a crop of this layer, 1 at least."""
    return max(1, int(whole_photo / downscale**layer))


def _windows(length: int, count: int, shared: int) -> list[tuple[int, int]]:
    """(start, size) of windows that share `shared` pixels; only those that are not empty."""
    size = math.ceil((shared * (count - 1) + length) / count)
    starts = [(size - shared) * i for i in range(count)]
    return [(start, min(size, length - start)) for start in starts if start < length]

"""A picture with masks on its way to becoming a training example, and who makes such pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

PADDING_RGB = (124, 116, 104)
"""The mean that normalisation takes off, in whole numbers: for the network padding is 0, as at
inference, to within a hundredth of a standard deviation."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A square picture and the masks known in it.

    Attributes:
        image_SSC: (S, S, 3) uint8 RGB.
        masks_NSS: (N, S, S) uint8, 0 or 1; N may be 0.
        weights_N: how readily each mask is asked for; pseudo-masks weigh less than people's.
        exhaustive: every object has a mask, so that a click on none of them is on nothing.
        content_hw: height and width of what is not padding, from the top left corner; None: all.
    """

    image_SSC: NDArray[np.uint8]
    masks_NSS: NDArray[np.uint8]
    weights_N: NDArray[np.float64]
    exhaustive: bool
    content_hw: tuple[int, int] | None = None


class SceneSource(Protocol):
    """Draws scenes; the same generator state gives the same scene."""

    def draw(self, side_px: int, rng: np.random.Generator) -> Scene:
        """A new square scene."""
        ...


@runtime_checkable
class NumberedScenes(Protocol):
    """A source of which only a part is in memory, and another part for other examples."""

    def at(self, seed: int, number: int) -> SceneSource:
        """The source of example `number` of a run with this seed."""
        ...


def padded(
    image_HWC: NDArray[np.uint8],
    masks_NHW: NDArray[np.uint8],
    weights_N: NDArray[np.float64],
    *,
    exhaustive: bool,
    side_px: int,
) -> Scene:
    """The picture in the top left corner of a square, as at inference: the last thing done to it.

    Padding that is flipped, turned or recoloured with the picture would lie where, and be what,
    the network never sees once it is used.
    """
    height, width = image_HWC.shape[:2]
    image_SSC = np.empty((side_px, side_px, 3), np.uint8)
    image_SSC[:] = PADDING_RGB
    image_SSC[:height, :width] = image_HWC
    masks_NSS = np.zeros((len(masks_NHW), side_px, side_px), np.uint8)
    if len(masks_NHW):
        masks_NSS[:, :height, :width] = masks_NHW
    return Scene(image_SSC, masks_NSS, weights_N, exhaustive, (height, width))


def drop_useless_masks(
    masks_NHW: NDArray[np.uint8], weights_N: NDArray[np.float64], min_area_px: int = 16
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Leave out masks under `min_area_px` and, as the paper does, over 90 % of the picture."""
    if not len(masks_NHW):
        return masks_NHW, weights_N
    area_N = np.count_nonzero(masks_NHW, axis=(1, 2))
    keep_N = (area_N >= min_area_px) & (area_N <= 0.9 * masks_NHW[0].size)
    return masks_NHW[keep_N], weights_N[keep_N]

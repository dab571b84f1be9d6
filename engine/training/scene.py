"""A picture with masks on its way to becoming a training example, and who makes such pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scene:
    """A square picture and the masks known in it.

    Attributes:
        image_SSC: (S, S, 3) uint8 RGB.
        masks_NSS: (N, S, S) uint8, 0 or 1; N may be 0.
        weights_N: how readily each mask is asked for; pseudo-masks weigh less than people's.
        exhaustive: every object has a mask, so that a click on none of them is on nothing.
    """

    image_SSC: NDArray[np.uint8]
    masks_NSS: NDArray[np.uint8]
    weights_N: NDArray[np.float64]
    exhaustive: bool


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


def drop_useless_masks(
    masks_NSS: NDArray[np.uint8], weights_N: NDArray[np.float64], min_area_px: int = 16
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Leave out masks under `min_area_px` and, as the paper does, over 90 % of the picture."""
    if not len(masks_NSS):
        return masks_NSS, weights_N
    area_N = np.count_nonzero(masks_NSS, axis=(1, 2))
    keep_N = (area_N >= min_area_px) & (area_N <= 0.9 * masks_NSS[0].size)
    return masks_NSS[keep_N], weights_N[keep_N]

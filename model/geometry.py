"""Where a pixel of the photo lies in the network's input, and the way back. No torch.

Three frames: the *original* (the image that was embedded, upright), the *input* (longest side
scaled to `input_size`, padded bottom and right to a square), and the *low-resolution logits*
(the padded square at a quarter of its size).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LOGITS_STRIDE = 4


@dataclass(frozen=True)
class Geometry:
    """How one image was fitted into the network's square input.

    Attributes:
        original_hw: height and width in pixels of the image that was embedded.
        input_size: side in pixels of the network's padded square input.
    """

    original_hw: tuple[int, int]
    input_size: int

    def __post_init__(self) -> None:
        if min(self.original_hw) < 1 or self.input_size < LOGITS_STRIDE:
            raise ValueError(f"impossible geometry: {self.original_hw} into {self.input_size}")

    @property
    def scaled_hw(self) -> tuple[int, int]:
        """Size in pixels of the photo inside the padded input: sides round half up, 1 at least."""
        height, width = self.original_hw
        scale = self.input_size / max(height, width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    @property
    def logits_hw(self) -> tuple[int, int]:
        """Size of the decoder's low-resolution logits."""
        side = self.input_size // LOGITS_STRIDE
        return side, side

    def to_input_xy(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scales coordinates (..., 2) from the original to the padded input."""
        return (xy * self._scale_xy()).astype(np.float32)

    def to_original_xy(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scales coordinates (..., 2) from the padded input to the original."""
        return (xy / self._scale_xy()).astype(np.float32)

    def row_weights(self) -> NDArray[np.float32]:
        """(H, h): each original row as a weighted sum of low-resolution rows.

        With `column_weights`, `row_weights() @ logits @ column_weights().T` equals SAM's
        two-step upsampling (bilinear to the padded input, padding cut off, bilinear to the
        original size), because bilinear interpolation is linear and separable.
        """
        return _interpolation(
            self.logits_hw[0], self.input_size, self.scaled_hw[0], self.original_hw[0]
        )

    def column_weights(self) -> NDArray[np.float32]:
        """(W, w): each original column as a weighted sum of low-resolution columns."""
        return _interpolation(
            self.logits_hw[1], self.input_size, self.scaled_hw[1], self.original_hw[1]
        )

    def _scale_xy(self) -> NDArray[np.float64]:
        scaled_h, scaled_w = self.scaled_hw
        height, width = self.original_hw
        return np.array([scaled_w / width, scaled_h / height])


@lru_cache(maxsize=64)
def _interpolation(low: int, padded: int, valid: int, out: int) -> NDArray[np.float32]:
    """(out, low) weights of bilinear `low -> padded`, cut to `valid`, then `valid -> out`."""
    up = _bilinear(low, padded)[:valid]
    weights = (_bilinear(valid, out) @ up).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _bilinear(n_in: int, n_out: int) -> NDArray[np.float64]:
    """(n_out, n_in) weights of bilinear resizing with half-pixel centres, edges repeated."""
    position = np.maximum((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, 0.0)
    left = np.minimum(position.astype(np.int64), n_in - 1)
    right = np.minimum(left + 1, n_in - 1)
    fraction = position - left
    weights = np.zeros((n_out, n_in))
    rows = np.arange(n_out)
    weights[rows, left] = 1.0 - fraction
    weights[rows, right] += fraction
    return weights

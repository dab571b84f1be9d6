"""From a mask's low-resolution logits to the photo's pixels and a stability score.

The released generator upsamples every mask to the whole photo before it looks at any. Here only
the box that can hold the mask is made, and its logits never exist all at once. What comes out is
the same: bilinear interpolation is a weighted mean of neighbours, so a pixel can only exceed a
value that one of its neighbours exceeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.geometry import Geometry

# Columns made at once: few low-resolution columns weigh on them, and their logits fit the cache.
_BLOCK: Final = 64


@dataclass(frozen=True, eq=False)
class UpsampledMask:
    """A mask in the pixels of the image that was embedded.

    Attributes:
        inside_WH: (w, h) the part of the mask that can hold pixels, one column after another,
            as RLE reads them.
        left, top: its place in the image.
        stability: area above +offset over area above -offset (paper, appendix B).
    """

    inside_WH: NDArray[np.bool_]
    left: int
    top: int
    stability: float


class Upsampler:
    """Brings logits of one geometry to the image; keeps no state between masks."""

    def __init__(self, geometry: Geometry, stability_offset: float) -> None:
        self._rows = _Axis(geometry.row_weights())
        self._columns = _Axis(geometry.column_weights())
        self._offset = stability_offset

    def upsample(self, logits_hw: NDArray[np.float32]) -> UpsampledMask | None:
        """Upsamples one mask (h, w); None if no pixel can exceed -offset: stability is 0 / 0."""
        possible = logits_hw > -self._offset
        y = self._rows.outputs_of(np.flatnonzero(possible.any(axis=1)))
        x = self._columns.outputs_of(np.flatnonzero(possible.any(axis=0)))
        if not len(y) or not len(x):
            return None
        tall_wH = self._rows.weigh(logits_hw, y).T
        inside_WH = np.empty((len(x), len(y)), np.bool_)
        surely = possibly = 0
        for start in range(0, len(x), _BLOCK):
            block_WH = self._columns.weigh(tall_wH, x[start : start + _BLOCK])
            np.greater(block_WH, 0, out=inside_WH[start : start + _BLOCK])
            surely += np.count_nonzero(block_WH > self._offset)
            possibly += np.count_nonzero(block_WH > -self._offset)
        if not possibly:
            return None
        return UpsampledMask(inside_WH, x.start, y.start, surely / possibly)


class _Axis:
    """Interpolation along one axis: outputs are neighbours' weighted means."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        used = weights > 0
        self._weights = weights
        self._first = used.argmax(axis=1)
        self._last = weights.shape[1] - 1 - used[:, ::-1].argmax(axis=1)

    def outputs_of(self, inputs: NDArray[np.intp]) -> range:
        """The outputs on which any input from the first to the last of these weighs."""
        if not len(inputs):
            return range(0)
        start = np.searchsorted(self._last, inputs[0], side="left")
        stop = np.searchsorted(self._first, inputs[-1], side="right")
        return range(int(start), int(stop))

    def weigh(self, inputs: NDArray[np.float32], outputs: range) -> NDArray[np.float32]:
        """(len(outputs), n): rows of `inputs` (m, n) brought to these outputs, a few at a time."""
        weighed = np.empty((len(outputs), inputs.shape[1]), np.float32)
        for begin in range(0, len(outputs), _BLOCK):
            some = outputs[begin : begin + _BLOCK]
            start, stop = self._first[some.start], self._last[some.stop - 1] + 1
            np.matmul(
                self._weights[some.start : some.stop, start:stop],
                inputs[start:stop],
                out=weighed[begin : begin + len(some)],
            )
        return weighed

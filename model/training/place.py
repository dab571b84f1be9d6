"""Where training pictures lie in the whole input of the network that they are windows of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from model.network.prompt_encoder import EMBEDDING_STRIDE


@dataclass(frozen=True)
class Place:
    """Where a batch's pictures lie in the input that they are windows of, in embedding cells.

    Attributes:
        frame_hw: of the whole input.
        hw: of the pictures.
        top, left: of the pictures.
    """

    frame_hw: tuple[int, int]
    hw: tuple[int, int]
    top: int = 0
    left: int = 0

    @classmethod
    def drawn(cls, embedding: Tensor, frame_px: int, rng: np.random.Generator) -> Place:
        """A random place; pictures as large as the frame, or without one, are the input."""
        hw = height, width = embedding.shape[2], embedding.shape[3]
        cells = frame_px // EMBEDDING_STRIDE
        if cells <= max(hw):
            return cls(hw, hw)
        top, left = rng.integers(cells - height + 1), rng.integers(cells - width + 1)
        return cls((cells, cells), hw, int(top), int(left))

    def moved(self, xy: Tensor | None) -> Tensor | None:
        """Coordinates (..., 2) or boxes (..., 4) of the picture in pixels of the frame."""
        if xy is None:
            return None
        offset_xy = xy.new_tensor([self.left, self.top]) * EMBEDDING_STRIDE
        return xy + offset_xy.repeat(xy.shape[-1] // 2)

    def cut(self, positions_1Chw: Tensor) -> Tensor:
        """The pictures' cells of the frame's."""
        height, width = self.hw
        return positions_1Chw[
            ..., self.top : self.top + height, self.left : self.left + width
        ].contiguous()

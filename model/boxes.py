"""The seam of the box detector: where an embedded photo may hold an object. No torch.

The semi-automatic stage sees only this; the detector itself is `model.detector`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.segmenter import Embedding


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """Boxes of one photo, the surest first.

    Attributes:
        boxes_xyxy: (N, 4) float32 in pixels of the photo; right and bottom are last pixels.
        scores: (N,) float32 from 0 to 1.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.boxes_xyxy.shape != (len(self.scores), 4):
            raise ValueError(
                f"{len(self.scores)} scores do not fit boxes of shape {self.boxes_xyxy.shape}"
            )


class BoxDetector(Protocol):
    """Finds objects, whatever they are, in what a promptable model made of a photo."""

    @property
    def detector_id(self) -> str:
        """16 hex digits derived from its weights and nothing else."""
        ...

    @property
    def model_id(self) -> str:
        """The promptable model whose embeddings it reads; those of another mean nothing to it."""
        ...

    def find(self, embedding: Embedding) -> FoundBoxes:
        """Boxes of an embedded photo.

        Raises:
            ValueError: if another model made the embedding.
        """
        ...

"""A segmenter that costs next to nothing and answers with logits of real size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model import Embedding, Geometry, Prompt, Proposals

INPUT_SIZE = 1024
KEPT_SHARE = 0.1


@dataclass(frozen=True)
class StubEmbedding:
    """Knows the photo's size and nothing else."""

    geometry: Geometry
    model_id: str = "5" * 16

    def to_bytes(self) -> bytes:
        """Nothing to keep."""
        return b""


class StubSegmenter:
    """Answers every prompt with three discs around it; a tenth of them pass the first gate."""

    model_id = "5" * 16
    input_size = INPUT_SIZE

    def __init__(self) -> None:
        side = INPUT_SIZE // 4
        rows, columns = np.mgrid[:side, :side].astype(np.float32)
        self._rows, self._columns = rows, columns

    def embed(self, image_HWC: NDArray[np.uint8]) -> StubEmbedding:
        """Looks at the photo's size."""
        height, width = image_HWC.shape[:2]
        return StubEmbedding(Geometry((height, width), INPUT_SIZE))

    def embedding_from_bytes(self, data: bytes) -> StubEmbedding:
        """Cannot be: there is nothing in the bytes."""
        raise ValueError("a stub's embedding is not kept")

    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        """Discs of 4, 12 and 36 pixels of the logits around the first point."""
        masks = 3 if multimask else 1
        number = np.arange(len(prompts) * masks).reshape(len(prompts), masks)
        scores = np.where(number % int(1 / KEPT_SHARE) == 0, 0.95, 0.5).astype(np.float32)
        limit = -np.inf if min_predicted_iou is None else min_predicted_iou
        index = np.argwhere(scores >= limit).astype(np.int32)
        logits = np.empty((len(index), *self._rows.shape), np.float32)
        for place, (prompt, mask) in enumerate(index):
            x, y = embedding.geometry.to_input_xy(prompts[prompt].points_xy)[0] / 4
            distance = np.hypot(self._columns - x, self._rows - y)
            logits[place] = (4 * 3 ** int(mask) - distance) * 4
        return Proposals(scores, index, logits, embedding.geometry)

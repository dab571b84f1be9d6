"""What a network answers batch by batch, put together in the order in which it was asked.

Shape suffixes: P prompts, M masks a prompt, N masks that pass, H and W of the logits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.geometry import Geometry
from model.segmenter import Proposals


class Answers:
    """Collects what batches answer, in whatever order, into `Proposals` in the order asked."""

    def __init__(self, prompts: int, masks: int, geometry: Geometry) -> None:
        self._predicted_iou = np.zeros((prompts, masks), np.float32)
        self._index: list[NDArray[np.int32]] = [np.zeros((0, 2), np.int32)]
        self._logits: list[NDArray[np.float32]] = [np.zeros((0, *geometry.logits_hw), np.float32)]
        self._geometry = geometry

    def add(
        self, rows_P: NDArray[np.int32], iou_PM: Tensor, passes_PM: Tensor, logits_NHW: Tensor
    ) -> None:
        """Take one batch; `logits_NHW` are those of the masks that pass, row by row."""
        self._predicted_iou[rows_P] = iou_PM.cpu().numpy()
        within_batch, mask = passes_PM.cpu().numpy().nonzero()
        self._index.append(np.stack([rows_P[within_batch], mask], axis=1).astype(np.int32))
        self._logits.append(logits_NHW.cpu().numpy())

    def proposals(self) -> Proposals:
        """Everything taken so far, by prompt and mask."""
        index = np.concatenate(self._index)
        logits = np.concatenate(self._logits)
        order = np.lexsort((index[:, 1], index[:, 0]))
        if not np.array_equal(order, np.arange(len(order))):
            index, logits = index[order], logits[order]
        return Proposals(self._predicted_iou, index, logits, self._geometry)

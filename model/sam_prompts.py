"""Prompts of any make-up, sorted into batches of tensors that the prompt encoder takes.

A batch holds prompts of one make-up only (as many points, box or none, logits or none). Padding
them to a common number of points would be simpler, but "not a point" tokens change the answer a
little, so it would depend on which prompts happen to be asked together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.geometry import Geometry
from model.prompts import Prompt


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Prompts of one make-up in the frame of the network's padded input.

    Attributes:
        rows: (P,) which of the asked prompts these are.
        points_xy: (P, K, 2), or None.
        point_labels: (P, K), or None.
        boxes_xyxy: (P, 4), or None.
        mask_logits: (P, 1, 4h, 4w), or None.
    """

    rows: NDArray[np.int32]
    points_xy: Tensor | None
    point_labels: Tensor | None
    boxes_xyxy: Tensor | None
    mask_logits: Tensor | None


def batches_of(
    prompts: Sequence[Prompt], geometry: Geometry, device: torch.device, *, size: int
) -> Iterator[PromptBatch]:
    """Batches of at most `size` prompts; between them every prompt once.

    Raises:
        ValueError: a prompt's earlier logits have another size than the decoder's.
    """
    rows_by_make_up: dict[tuple[int, bool, bool], list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        _check_logits(prompt, row, geometry)
        rows_by_make_up[_make_up(prompt)].append(row)
    for rows in rows_by_make_up.values():
        for start in range(0, len(rows), size):
            yield _batch(prompts, rows[start : start + size], geometry, device)


def _make_up(prompt: Prompt) -> tuple[int, bool, bool]:
    return len(prompt.points_xy), prompt.box_xyxy is not None, prompt.mask_logits is not None


def _check_logits(prompt: Prompt, row: int, geometry: Geometry) -> None:
    if prompt.mask_logits is not None and prompt.mask_logits.shape != geometry.logits_hw:
        raise ValueError(
            f"prompt {row} has mask_logits of shape {prompt.mask_logits.shape}, expected "
            f"{geometry.logits_hw}: give them as an earlier answer of this model had them"
        )


def _batch(
    prompts: Sequence[Prompt], rows: list[int], geometry: Geometry, device: torch.device
) -> PromptBatch:
    chosen = [prompts[row] for row in rows]
    boxes = [prompt.box_xyxy for prompt in chosen if prompt.box_xyxy is not None]
    logits = [prompt.mask_logits for prompt in chosen if prompt.mask_logits is not None]
    points_PK2 = np.stack([prompt.points_xy for prompt in chosen])
    has_points = points_PK2.shape[1] > 0
    labels_PK = np.stack([prompt.point_labels for prompt in chosen])

    def to_input(xy: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(geometry.to_input_xy(xy)).to(device)

    return PromptBatch(
        rows=np.array(rows, dtype=np.int32),
        points_xy=to_input(points_PK2) if has_points else None,
        point_labels=torch.from_numpy(labels_PK).to(device) if has_points else None,
        boxes_xyxy=to_input(np.stack(boxes).reshape(-1, 2, 2)).flatten(1) if boxes else None,
        mask_logits=torch.from_numpy(np.stack(logits)).to(device).unsqueeze(1) if logits else None,
    )

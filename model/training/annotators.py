"""The annotators of one training batch: what they know, have said, and click next (paper, app. A).

Shape suffixes: B pictures, M masks of each, P = B * M prompts, K clicks so far, h and w of the
low-resolution logits or of the targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.clicks import next_click, random_error_click
from model.network.prompt_encoder import LABEL_PADDING
from model.training.examples import TrainingBatch
from model.training.given_masks import nearly_right_logits


@dataclass(frozen=True)
class Annotators:
    """What the annotators of one batch know and have said so far.

    Attributes:
        points_PK2: clicks as (x, y) in pixels of the picture.
        labels_PK: of the clicks: 1 on the thing, 0 beside it, -1 for no click.
        boxes_P4: (x0, y0, x1, y1) in pixels of the picture.
        logits_P1hw: the answer that was fed back.
        target_Phw: share of each coarse pixel that the true mask covers, 0..1.
        is_object_P: false where the first click is on nothing.
        pixel_stride: pixels of the picture along a coarse pixel's side.
    """

    points_PK2: Tensor | None
    labels_PK: Tensor | None
    boxes_P4: Tensor | None
    logits_P1hw: Tensor | None
    target_Phw: Tensor
    is_object_P: Tensor
    pixel_stride: int

    @classmethod
    def begin(
        cls, batch: TrainingBatch, embedding: Tensor, with_box: bool, logits_upsampling: int
    ) -> Annotators:
        """Before the first round: one click or one box a prompt, and nothing fed back yet.

        `logits_upsampling` is how much finer the targets are than the network's logits.
        """
        device = embedding.device
        side_px = batch.masks_BMSS.shape[-1]
        logits_side = 4 * embedding.shape[-1] * logits_upsampling
        masks_P1SS = torch.from_numpy(batch.masks_BMSS).to(device).flatten(0, 1).unsqueeze(1)
        target_Phw = F.avg_pool2d(masks_P1SS.float(), side_px // logits_side).squeeze(1)
        points = torch.from_numpy(batch.points_BM2).to(device).flatten(0, 1).unsqueeze(1)
        boxes_P4 = torch.from_numpy(batch.boxes_BM4).to(device).flatten(0, 1)
        return cls(
            points_PK2=None if with_box else points,
            labels_PK=None if with_box else torch.ones(points.shape[:2], device=device),
            boxes_P4=boxes_P4 if with_box else None,
            logits_P1hw=None,
            target_Phw=target_Phw,
            is_object_P=torch.from_numpy(batch.is_object_BM).to(device).flatten(),
            pixel_stride=side_px // logits_side,
        )

    def given_masks(
        self, embedding: Tensor, rng: np.random.Generator, innermost_share: float
    ) -> Annotators:
        """Before a first round that corrects: masks that are nearly right, a click on an error."""
        height, width = embedding.shape[2:]
        given_P1hw = nearly_right_logits(self.target_Phw, (4 * height, 4 * width), rng)
        return replace(self, logits_P1hw=given_P1hw)._clicked(given_P1hw, rng, innermost_share)

    def after(
        self,
        logits_P4hw: Tensor,
        best_P: Tensor,
        rng: np.random.Generator,
        innermost_share: float,
        *,
        click: bool,
    ) -> Annotators:
        """The next round: the best mask's logits go back in, with one more click or without."""
        index = best_P[:, None, None, None].expand(-1, 1, *logits_P4hw.shape[2:])
        fed_back_P1hw = logits_P4hw.gather(1, index)
        with_logits = replace(self, logits_P1hw=fed_back_P1hw)
        return with_logits._clicked(fed_back_P1hw, rng, innermost_share) if click else with_logits

    def _clicked(
        self, answer_P1hw: Tensor, rng: np.random.Generator, innermost_share: float
    ) -> Annotators:
        size = self.target_Phw.shape[-2:]
        predicted_Phw = F.interpolate(answer_P1hw, size=size, mode="bilinear").squeeze(1) > 0
        xy_P2, label_P = _error_clicks(
            predicted_Phw.cpu().numpy(),
            (self.target_Phw >= 0.5).cpu().numpy(),
            self.is_object_P.cpu().numpy(),
            rng,
            innermost_share,
        )
        # Centre of the coarse pixel, in pixels of the picture.
        xy_P2 = (xy_P2 + 0.5) * self.pixel_stride - 0.5
        points_P12 = torch.from_numpy(xy_P2).to(answer_P1hw.device).unsqueeze(1)
        labels_P1 = torch.from_numpy(label_P).to(answer_P1hw.device).unsqueeze(1)
        if self.points_PK2 is None or self.labels_PK is None:
            return replace(self, points_PK2=points_P12, labels_PK=labels_P1)
        return replace(
            self,
            points_PK2=torch.cat([self.points_PK2, points_P12], dim=1),
            labels_PK=torch.cat([self.labels_PK, labels_P1], dim=1),
        )


def _error_clicks(
    predicted_Phw: NDArray[np.bool_],
    truth_Phw: NDArray[np.bool_],
    is_object_P: NDArray[np.bool_],
    rng: np.random.Generator,
    innermost_share: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One click a prompt; none (label -1) where all is right or nothing is there."""
    xy_P2 = np.zeros((len(truth_Phw), 2), np.float32)
    label_P = np.full(len(truth_Phw), LABEL_PADDING, np.float32)
    for p in np.flatnonzero(is_object_P):
        if rng.random() < innermost_share:
            click = next_click(predicted_Phw[p], truth_Phw[p])
        else:
            click = random_error_click(predicted_Phw[p], truth_Phw[p], rng)
        if click is not None:
            xy_P2[p], label_P[p] = click.point_xy, click.label
    return xy_P2, label_P

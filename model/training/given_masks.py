"""Masks that are nearly right: what training annotators correct when they begin with a given mask.

A network that only ever sees its own early answers fed back learns to overlook them: they are wrong
too often. People correct good masks as well, prefilled ones and their own of a moment ago, and
expect all that was right to stay.

Shape suffixes: P prompts, h and w of the targets, N knots of a random field along a side.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_KNOTS = 6
_LOG_SCALES = (-0.22, 0.22)
_MOST_BENT = 0.3
_DISC_SHARE = 0.5
_DISC_RADII = (0.15, 0.5)
"""Lengths are shares of the mask's size, the root of its area."""
_INSIDE = (2.0, 14.0)
_OUTSIDE = (4.0, 30.0)
"""How sure logits are on the mask and beside it: trained networks differ, and so do pictures."""


def nearly_right_logits(
    target_Phw: Tensor, logits_hw: tuple[int, int], rng: np.random.Generator
) -> Tensor:
    """Logits (P, 1, *logits_hw) of each mask after it was scaled, bent, and cut or added to.

    Args:
        target_Phw: the true masks as shares of covered pixels, 0..1; an empty one stays empty.
        logits_hw: height and width of the network's logits; they divide h and w.
        rng: the errors.
    """
    grid_hw2 = _grid(target_Phw)
    centre_P2, size_P = _centres_and_sizes(target_Phw, grid_hw2)
    moved_Phw2 = _moved(grid_hw2, centre_P2, size_P, rng)
    wrong_Phw = F.grid_sample(
        target_Phw.unsqueeze(1), moved_Phw2, padding_mode="border", align_corners=False
    ).squeeze(1)
    wrong_Phw = _with_discs(wrong_Phw, grid_hw2, centre_P2, size_P, rng)
    share_P1hw = F.adaptive_avg_pool2d(wrong_Phw.unsqueeze(1), logits_hw)
    signed_P1hw = 2 * share_P1hw - 1
    inside, outside = (
        _each(rng.uniform(*bounds, len(target_Phw)), target_Phw)[:, None, None, None]
        for bounds in (_INSIDE, _OUTSIDE)
    )
    return torch.where(signed_P1hw > 0, inside, outside) * signed_P1hw


def _grid(target_Phw: Tensor) -> Tensor:
    """Pixel centres (h, w, 2) as x and y in -1..1, as `grid_sample` counts."""
    height, width = target_Phw.shape[1:]
    y_h = (torch.arange(height, device=target_Phw.device) + 0.5) * 2 / height - 1
    x_w = (torch.arange(width, device=target_Phw.device) + 0.5) * 2 / width - 1
    return torch.stack(torch.meshgrid(x_w, y_h, indexing="xy"), dim=-1)


def _centres_and_sizes(target_Phw: Tensor, grid_hw2: Tensor) -> tuple[Tensor, Tensor]:
    """Each mask's mean position (P, 2) and the root of its area (P,), in the grid's units."""
    area_P = target_Phw.sum((1, 2))
    centre_P2 = torch.einsum("phw,hwc->pc", target_Phw, grid_hw2) / area_P.clamp(min=1)[:, None]
    size_P = 2 * (area_P / target_Phw[0].numel()).sqrt()
    # One pixel at least: what is measured by it is divided by it.
    return centre_P2, size_P.clamp(min=2 / target_Phw.shape[-1])


def _moved(grid_hw2: Tensor, centre_P2: Tensor, size_P: Tensor, rng: np.random.Generator) -> Tensor:
    """Where each pixel takes its value from, (P, h, w, 2): a random field as wide as the mask."""
    prompts = len(size_P)
    severity_P = rng.random(prompts)
    scale_P = _each(np.exp(severity_P * rng.uniform(*_LOG_SCALES, prompts)), size_P)
    bent_P = _each(severity_P * rng.uniform(0, _MOST_BENT, prompts), size_P) * size_P
    knots_P2NN = _each(rng.standard_normal((prompts, 2, _KNOTS, _KNOTS)), size_P)
    from_centre_Phw2 = grid_hw2 - centre_P2[:, None, None]
    field_P2hw = F.grid_sample(
        knots_P2NN,
        from_centre_Phw2 / (2 * size_P[:, None, None, None]),
        padding_mode="reflection",
        align_corners=False,
    )
    bending_Phw2 = field_P2hw.permute(0, 2, 3, 1) * bent_P[:, None, None, None] / 2
    scaled_Phw2 = from_centre_Phw2 * scale_P[:, None, None, None]
    return centre_P2[:, None, None] + scaled_Phw2 + bending_Phw2


def _with_discs(
    mask_Phw: Tensor,
    grid_hw2: Tensor,
    centre_P2: Tensor,
    size_P: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """Some masks lose a disc or gain one, near their outline more often than not."""
    prompts = len(size_P)
    kind_P = rng.random(prompts)
    offset_P2 = _each(rng.uniform(-0.7, 0.7, (prompts, 2)), size_P) * size_P[:, None]
    radius_P = _each(rng.uniform(*_DISC_RADII, prompts), size_P) * size_P
    from_middle_Phw2 = grid_hw2 - (centre_P2 + offset_P2)[:, None, None]
    is_disc_Phw = from_middle_Phw2.square().sum(-1) < radius_P.square()[:, None, None]
    loses_P, gains_P = kind_P < _DISC_SHARE / 2, kind_P >= 1 - _DISC_SHARE / 2
    is_empty_P = mask_Phw.sum((1, 2)) == 0
    loses = torch.from_numpy(loses_P).to(is_empty_P.device)[:, None, None] & is_disc_Phw
    gains = torch.from_numpy(gains_P).to(is_empty_P.device) & ~is_empty_P
    return torch.where(gains[:, None, None] & is_disc_Phw, 1.0, mask_Phw.masked_fill(loses, 0.0))


def _each(values: NDArray[np.float64], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like)

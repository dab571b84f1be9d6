"""The losses of the paper (section 3 and appendix A) and the plain ones that training begins with.

Focal and dice at 20 : 1 leave all masks empty for the first hundreds of steps of a network that
starts from nothing: `MaskLoss` therefore knows cross-entropy as well.

Shape suffixes: P prompts, M masks, h and w of the logits; targets are the share of each pixel
that the mask covers, 0..1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class MaskLossParameters(BaseModel):
    """Weights of the parts of the mask loss; a part with weight 0 is not computed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    cross_entropy: float = Field(default=0.0, ge=0, description="weight of plain cross-entropy")
    focal: float = Field(default=20.0, ge=0, description="weight of the focal loss (paper: 20)")
    dice: float = Field(default=1.0, ge=0, description="weight of the dice loss (paper: 1)")
    focal_gamma: float = Field(default=2.0, ge=0, description="how much easy pixels are ignored")
    focal_alpha: float = Field(default=0.25, ge=0, le=1, description="weight of covered pixels")


def mask_losses(logits_PMhw: Tensor, target_Phw: Tensor, parameters: MaskLossParameters) -> Tensor:
    """One loss for every mask of every prompt, (P, M)."""
    logits_PMA = logits_PMhw.flatten(2)
    target_PMA = target_Phw.flatten(1).unsqueeze(1).expand_as(logits_PMA)
    probability_PMA = logits_PMA.sigmoid()
    total_PM = logits_PMA.new_zeros(logits_PMA.shape[:2])
    if parameters.cross_entropy or parameters.focal:
        entropy_PMA = F.binary_cross_entropy_with_logits(logits_PMA, target_PMA, reduction="none")
        if parameters.cross_entropy:
            total_PM = total_PM + parameters.cross_entropy * entropy_PMA.mean(2)
        if parameters.focal:
            weight_PMA = _focal_weight(probability_PMA, target_PMA, parameters)
            total_PM = total_PM + parameters.focal * (weight_PMA * entropy_PMA).mean(2)
    if parameters.dice:
        total_PM = total_PM + parameters.dice * _dice(probability_PMA, target_PMA)
    return total_PM


def true_iou(logits_PMhw: Tensor, target_Phw: Tensor) -> Tensor:
    """Intersection over union of the thresholded masks, (P, M); no gradient."""
    with torch.no_grad():
        predicted_PMA = (logits_PMhw > 0).flatten(2)
        truth_P1A = (target_Phw >= 0.5).flatten(1).unsqueeze(1)
        intersection_PM = (predicted_PMA & truth_P1A).sum(2)
        union_PM = (predicted_PMA | truth_P1A).sum(2)
        return intersection_PM / union_PM.clamp(min=1)


def edge_loss(logits_Bhw: Tensor, edges_Bhw: Tensor, known_Bhw: Tensor, weight: float) -> Tensor:
    """Cross-entropy of outlines where they are known; `weight` makes up for how few they are."""
    entropy_Bhw = F.binary_cross_entropy_with_logits(
        logits_Bhw, edges_Bhw, pos_weight=logits_Bhw.new_tensor(weight), reduction="none"
    )
    return (entropy_Bhw * known_Bhw).sum() / known_Bhw.sum().clamp(min=1)


def _focal_weight(probability: Tensor, target: Tensor, parameters: MaskLossParameters) -> Tensor:
    """Lin et al. 2017, equation 5, for soft targets."""
    missed = (probability - target).abs()
    balance = parameters.focal_alpha * target + (1 - parameters.focal_alpha) * (1 - target)
    weight: Tensor = balance * missed.pow(parameters.focal_gamma)
    return weight


def _dice(probability_PMA: Tensor, target_PMA: Tensor) -> Tensor:
    """Milletari et al. 2016 with the plain denominator; 1 is added so that small masks count."""
    overlap_PM = (probability_PMA * target_PMA).sum(2)
    size_PM = probability_PMA.sum(2) + target_PMA.sum(2)
    dice: Tensor = 1 - (2 * overlap_PM + 1) / (size_PM + 1)
    return dice

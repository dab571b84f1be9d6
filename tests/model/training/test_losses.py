import math

import pytest
import torch

from model.training.losses import MaskLossParameters, edge_loss, mask_losses, true_iou


def square_target(side: int = 16) -> torch.Tensor:
    target = torch.zeros(1, side, side)
    target[:, 4:12, 4:12] = 1
    return target


def logits_of(target: torch.Tensor, confidence: float = 8.0) -> torch.Tensor:
    return ((target * 2 - 1) * confidence).unsqueeze(1)


@pytest.mark.parametrize(
    "parameters",
    [
        MaskLossParameters(),
        MaskLossParameters(cross_entropy=1.0, focal=0.0, dice=0.0),
        MaskLossParameters(focal=0.0, dice=1.0),
    ],
)
def test_a_right_answer_costs_less_than_an_empty_and_a_full_one(
    parameters: MaskLossParameters,
) -> None:
    target = square_target()
    right = mask_losses(logits_of(target), target, parameters)
    empty = mask_losses(torch.full((1, 1, 16, 16), -8.0), target, parameters)
    full = mask_losses(torch.full((1, 1, 16, 16), 8.0), target, parameters)
    assert right.shape == (1, 1)
    assert right < 0.05
    assert right < min(empty.item(), full.item())


def test_focal_loss_is_lin_et_al_equation_5() -> None:
    logit = 0.7
    p = 1 / (1 + math.exp(-logit))
    parameters = MaskLossParameters(focal=1.0, dice=0.0)
    loss = mask_losses(torch.full((1, 1, 1, 1), logit), torch.ones(1, 1, 1), parameters)
    assert loss.item() == pytest.approx(0.25 * (1 - p) ** 2 * -math.log(p), rel=1e-5)


def test_dice_weighs_small_and_large_masks_alike() -> None:
    small, large = torch.zeros(1, 32, 32), torch.zeros(1, 32, 32)
    small[:, :4, :4] = 1
    large[:, :24, :24] = 1
    parameters = MaskLossParameters(focal=0.0, dice=1.0)
    missed = torch.full((1, 1, 32, 32), -9.0)
    assert mask_losses(missed, small, parameters).item() == pytest.approx(
        mask_losses(missed, large, parameters).item(), abs=0.1
    )


def test_true_iou_counts_pixels() -> None:
    target = square_target()
    shifted = torch.roll(target, 4, dims=2)
    assert true_iou(logits_of(shifted), target).item() == pytest.approx(32 / 96)


def test_true_iou_of_two_empty_masks_is_zero_not_nan() -> None:
    assert true_iou(torch.full((1, 1, 4, 4), -1.0), torch.zeros(1, 4, 4)).item() == 0


def test_unknown_outlines_cost_nothing() -> None:
    logits, edges = torch.randn(1, 4, 4), torch.zeros(1, 4, 4)
    assert edge_loss(logits, edges, torch.zeros(1, 4, 4), weight=2.0).item() == 0

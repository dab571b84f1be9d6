import numpy as np
import pytest
import torch
from torch import Tensor

from model.network.architectures import build_sam
from model.training.annotators import Annotators
from model.training.given_masks import nearly_right_logits
from model.training.losses import MaskLossParameters
from model.training.rounds import RoundParameters, SimulatedRounds
from tests.model.training.example_factory import batches


def make_targets(count: int = 64) -> Tensor:
    """Ellipses of many sizes; the first target is empty, the second reaches over the border."""
    rng = np.random.default_rng(5)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    targets = torch.zeros(count, 64, 64)
    for target in targets[1:]:
        (cx, cy), (rx, ry) = rng.uniform(16, 48, 2), rng.uniform(3, 15, 2)
        target[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = 1
    targets[1, :, 40:] = 1
    return targets


def ious(logits_P1hw: Tensor, target_Phw: Tensor) -> Tensor:
    given = torch.nn.functional.interpolate(logits_P1hw, target_Phw.shape[1:], mode="bilinear")
    given, truth = given.squeeze(1) > 0, target_Phw > 0.5
    return (given & truth).sum((1, 2)) / (given | truth).sum((1, 2)).clamp(min=1)


def test_given_masks_are_wrong_but_nearly_right() -> None:
    targets = make_targets()
    iou = ious(nearly_right_logits(targets, (32, 32), np.random.default_rng(0)), targets)[1:]
    assert 0.65 < iou.mean() < 0.9
    assert (iou < 0.98).float().mean() > 0.8
    assert (iou > 0.3).float().mean() > 0.95


def test_an_empty_mask_stays_empty_and_one_at_the_border_stays_there() -> None:
    targets = make_targets()
    for seed in range(5):
        logits = nearly_right_logits(targets, (32, 32), np.random.default_rng(seed))
        assert (logits[0] < 0).all()
        assert (logits[1, 0, :, -1] > 0).float().mean() > 0.6


def test_the_same_seed_gives_the_same_errors() -> None:
    targets = make_targets(4)
    first, again, other = (
        nearly_right_logits(targets, (32, 32), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_correcting_begins_with_a_click_on_an_error_of_the_given_mask() -> None:
    batch = next(batches(examples=4))
    embedding = torch.zeros(4, 256, 4, 4)
    begun = Annotators.begin(batch, embedding, False, 2)
    corrects = begun.given_masks(embedding, np.random.default_rng(0), 1.0)
    assert corrects.logits_P1hw is not None
    assert corrects.points_PK2 is not None
    assert corrects.labels_PK is not None
    assert begun.points_PK2 is not None
    assert torch.equal(corrects.points_PK2[:, :1], begun.points_PK2)
    size = corrects.target_Phw.shape[1:]
    given = torch.nn.functional.interpolate(corrects.logits_P1hw, size, mode="bilinear")
    wrong = (given.squeeze(1) > 0) != (corrects.target_Phw >= 0.5)
    clicked = 0
    for p, (xy, label) in enumerate(
        zip(corrects.points_PK2[:, 1], corrects.labels_PK[:, 1], strict=True)
    ):
        if label < 0:
            continue
        column, row = ((xy + 0.5) / corrects.pixel_stride - 0.5).round().int().tolist()
        assert wrong[p, row, column]
        assert label == (corrects.target_Phw[p, row, column] >= 0.5)
        clicked += 1
    assert clicked >= 6


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_given_masks_teach_the_mask_prompt_in_the_very_first_round(share: float) -> None:
    torch.manual_seed(0)
    sam = build_sam("tiny")
    parameters = RoundParameters(round_shares=(1.0,), box_share=0.0, given_mask_share=share)
    plain = MaskLossParameters(cross_entropy=1.0, focal=0.0, dice=1.0)
    SimulatedRounds(sam, None, parameters).run(next(batches()), plain, np.random.default_rng(0))
    taught = sam.prompt_encoder.mask_downscaling[0].weight.grad is not None
    assert taught == (share == 1.0)

import pytest
import torch
from torch import nn

from model.network.image_encoder import ImageEncoderViT
from model.training.optimiser import (
    OptimiserParameters,
    build_optimiser,
    learning_rate_factor,
    set_learning_rate,
)

HOLD = OptimiserParameters(warmup_steps=10, schedule="hold", decay_share=0.25)


def test_the_rate_rises_linearly_while_warming_up() -> None:
    factors = [learning_rate_factor(step, 100, HOLD) for step in range(10)]
    assert factors == pytest.approx([(step + 1) / 10 for step in range(10)])


def test_hold_stays_at_the_peak_and_falls_to_zero_at_the_end() -> None:
    assert learning_rate_factor(74, 100, HOLD) == 1
    assert learning_rate_factor(100, 100, HOLD) == 0
    assert 0 < learning_rate_factor(90, 100, HOLD) < 1


def test_the_papers_schedule_drops_tenfold_twice() -> None:
    paper = OptimiserParameters(schedule="steps")
    factors = [learning_rate_factor(step, 90_000, paper) for step in (59_000, 61_000, 87_000)]
    assert factors == pytest.approx([1, 0.1, 0.01])


def test_cosine_ends_at_zero() -> None:
    cosine = OptimiserParameters(schedule="cosine", warmup_steps=0)
    assert learning_rate_factor(0, 50, cosine) == 1
    assert learning_rate_factor(25, 50, cosine) == pytest.approx(0.5)
    assert learning_rate_factor(50, 50, cosine) == pytest.approx(0)


def test_biases_and_norms_do_not_decay() -> None:
    optimiser = build_optimiser({"net": nn.Linear(3, 2)}, OptimiserParameters(weight_decay=0.3))
    decays = {g["weight_decay"]: [p.ndim for p in g["params"]] for g in optimiser.param_groups}
    assert decays == {0.3: [2], 0.0: [1]}


def test_the_image_encoder_may_learn_more_slowly() -> None:
    network = nn.ModuleDict({"image_encoder": nn.Linear(2, 2), "mask_decoder": nn.Linear(2, 2)})
    parameters = OptimiserParameters(learning_rate=1.0, encoder_rate=0.1)
    optimiser = build_optimiser({"sam": network}, parameters)
    set_learning_rate(optimiser, 0.5)
    assert sorted({group["lr"] for group in optimiser.param_groups}) == pytest.approx([0.05, 0.5])


@pytest.mark.parametrize("blocks", [12, 32])
def test_layers_of_a_vit_learn_the_more_slowly_the_deeper_they_lie(blocks: int) -> None:
    """As in ViTDet: embeddings lowest, whatever the number of blocks."""
    encoder = ImageEncoderViT(channels=8, depth=blocks, heads=1, global_blocks=())
    network = nn.ModuleDict({"image_encoder": encoder, "mask_decoder": nn.Linear(2, 2)})
    parameters = OptimiserParameters(learning_rate=1.0, layer_decay=0.8, encoder_rate=0.5)
    optimiser = build_optimiser({"sam": network}, parameters)
    rate_of = {id(p): g["peak_lr"] for g in optimiser.param_groups for p in g["params"]}

    def rate(parameter: nn.Parameter) -> float:
        return float(rate_of[id(parameter)])

    rates = [rate(block.mlp.lin1.weight) for block in encoder.blocks]
    lowest = 0.5 * 0.8 ** (blocks + 1)
    assert rate(encoder.patch_embed.proj.weight) == pytest.approx(lowest)
    assert rate(encoder.pos_embed) == pytest.approx(lowest)
    assert rates == pytest.approx([lowest / 0.8 ** (i + 1) for i in range(blocks)])
    assert rates[-1] == pytest.approx(0.5 * 0.8)
    assert {rate(p) for p in encoder.neck.parameters()} == {0.5}
    assert rate(network["mask_decoder"].weight) == 1.0


def test_a_wholly_frozen_network_is_refused() -> None:
    network = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="leave at least one"):
        build_optimiser({"net": network}, OptimiserParameters())


def test_updates_go_down_the_loss() -> None:
    network = nn.Linear(4, 1)
    optimiser = build_optimiser({"net": network}, OptimiserParameters(learning_rate=0.05))
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    first = last = 0.0
    for step in range(60):
        loss = (network(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        first, last = (loss.item() if step == 0 else first), loss.item()
    assert last < first / 4

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from model.network.architectures import build_sam
from model.training.edge_head import EdgeHead
from model.training.loop import LoopParameters, LossIsNotANumberError, Trainer
from model.training.losses import MaskLossParameters
from model.training.optimiser import OptimiserParameters
from model.training.place import Place
from model.training.rounds import RoundParameters, SimulatedRounds, _rounds_without_click
from model.training.state import load_state, save_state
from tests.model.training.example_factory import batches

PLAIN = MaskLossParameters(cross_entropy=1.0, focal=0.0, dice=1.0)


def make_trainer(seed: int = 0, **changes: object) -> Trainer:
    torch.manual_seed(seed)
    settings: dict[str, object] = {
        "steps": 100,
        "plain_steps": 100,
        "rounds": RoundParameters(round_shares=(0.5, 0.5), box_share=0.3),
        "optimiser": OptimiserParameters(learning_rate=5e-4, warmup_steps=3, schedule="hold"),
    }
    return Trainer(build_sam("tiny"), LoopParameters(**(settings | changes)))


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.sam.state_dict().items()}


def test_the_loss_goes_down_on_a_batch_seen_again_and_again() -> None:
    trainer = make_trainer(rounds=RoundParameters(round_shares=(1.0,), box_share=0.0))
    drawn = batches(same=True)
    losses = [trainer.train_step(drawn).loss for _ in range(12)]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    unbroken = make_trainer()
    drawn = batches()
    for _ in range(2):
        unbroken.train_step(drawn)
    save_state(tmp_path, unbroken.state_dict())
    for _ in range(2):
        unbroken.train_step(drawn)

    resumed = make_trainer(seed=99)
    state = load_state(tmp_path)
    assert state is not None
    resumed.load_state_dict(state)
    drawn = batches(first=resumed.step)
    for _ in range(2):
        resumed.train_step(drawn)

    expected, got = weights_of(unbroken), weights_of(resumed)
    assert resumed.step == unbroken.step == 4
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert all(
        torch.equal(unbroken.average.weights[name], resumed.average.weights[name])
        for name in expected
    )


def test_accumulated_gradients_are_those_of_one_large_batch() -> None:
    # Without batch statistics a batch of two is two batches of one.
    torch.manual_seed(0)
    sam = build_sam("tiny").eval()
    parameters = RoundParameters(round_shares=(1.0,), box_share=0.0, edge_weight=0.0)
    rounds = SimulatedRounds(sam, None, parameters)
    weight = sam.mask_decoder.mask_tokens.weight
    rounds.run(next(batches(examples=2)), PLAIN, np.random.default_rng(0))
    together = weight.grad.clone()
    sam.zero_grad()
    singles = batches(examples=1)
    for _ in range(2):
        rounds.run(next(singles), PLAIN, np.random.default_rng(0), scale=0.5)
    assert torch.allclose(together, weight.grad, atol=1e-6)


def test_rounds_without_a_click_are_the_last_and_others_anywhere_but_first() -> None:
    rng = np.random.default_rng(0)
    drawn = [_rounds_without_click(11, 2, rng) for _ in range(300)]
    assert {len(chosen) for chosen in drawn} == {2}
    assert set.union(*drawn) == set(range(1, 11))
    assert set.intersection(*drawn) == {10}
    assert _rounds_without_click(2, 2, rng) == {1}
    assert _rounds_without_click(1, 2, rng) == _rounds_without_click(3, 0, rng) == set()


def test_logits_are_enlarged_only_by_factors_that_divide_the_picture() -> None:
    for factor in (3, 8):
        with pytest.raises(ValidationError, match="1, 2 or 4"):
            RoundParameters(logits_upsampling=factor)


def test_windows_of_a_frame_have_the_positions_that_their_cells_have_in_it() -> None:
    torch.manual_seed(0)
    encoder = build_sam("tiny").prompt_encoder
    place = Place.drawn(torch.zeros(1, 256, 2, 3), 128, np.random.default_rng(4))
    assert place.frame_hw == (8, 8)
    assert (place.top, place.left) != (0, 0)

    cut = place.cut(encoder.dense_positions(place.frame_hw))

    centres = [[16 * x + 7.5, 16 * y + 7.5] for y in range(2) for x in range(3)]
    moved = place.moved(torch.tensor([centres]))
    frame = encoder.embed_points(moved, torch.ones(1, 6), place.frame_hw)
    own = encoder.point_embeddings[1].weight
    assert torch.allclose(frame[0] - own, cut[0].flatten(1).T, atol=1e-5)
    assert Place.drawn(torch.zeros(1, 256, 8, 8), 128, np.random.default_rng(4)) == Place(
        (8, 8), (8, 8)
    )


def test_a_loss_that_is_no_number_stops_before_the_weights_change() -> None:
    trainer = make_trainer()
    with torch.no_grad():
        trainer.sam.mask_decoder.iou_token.weight.fill_(float("nan"))
    before = weights_of(trainer)["image_encoder.stem1.weight"]
    with pytest.raises(LossIsNotANumberError, match="weights were not touched"):
        trainer.train_step(batches())
    assert torch.equal(before, trainer.sam.state_dict()["image_encoder.stem1.weight"])
    assert trainer.step == 0


def test_every_part_of_the_network_gets_a_gradient() -> None:
    torch.manual_seed(0)
    sam = build_sam("tiny")
    head = EdgeHead()
    rounds = SimulatedRounds(sam, head, RoundParameters(round_shares=(0, 0, 1.0), box_share=0.0))
    rounds.run(next(batches()), PLAIN, np.random.default_rng(0))
    without = {name for name, p in sam.named_parameters() if p.grad is None}
    assert all("point_embeddings.2" in name or "point_embeddings.3" in name for name in without)
    assert head.to_pixels.weight.grad is not None


def test_a_state_on_disk_is_replaced_whole(tmp_path: Path) -> None:
    save_state(tmp_path, {"step": 1})
    save_state(tmp_path, {"step": 2})
    assert load_state(tmp_path) == {"step": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    assert load_state(tmp_path / "elsewhere") is None

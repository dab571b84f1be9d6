from pathlib import Path

import pytest
import torch

from model.errors import ConfigurationError
from model.network.drop_path import DropPath
from model.network.sam import Sam
from model.training.loop import LoopParameters, Trainer
from model.training.optimiser import OptimiserParameters
from model.training.path_drops import PathDrops
from model.training.rounds import RoundParameters
from model.training.session import SessionParameters, TrainingSession
from tests.model.training.example_factory import SIDE, batches
from tests.model.training.small_vit import small_vit

LOOP = LoopParameters(
    steps=9,
    plain_steps=9,
    rounds=RoundParameters(round_shares=(1.0,), edge_weight=0.0),
    optimiser=OptimiserParameters(warmup_steps=0, schedule="hold"),
)


def weights_after(
    steps: int, *, rate: float, rank: int = 0, begin: dict[str, object] | None = None
) -> dict[str, object]:
    sam = small_vit()
    drops = PathDrops(sam, rate, seed=3, rank=rank)
    trainer = Trainer(sam, LOOP, drops=drops)
    if begin is not None:
        trainer.load_state_dict(begin)
    drawn = batches(first=trainer.step)
    while trainer.step < steps:
        trainer.train_step(drawn)
    return trainer.state_dict()


def rates_of(sam: Sam) -> list[float]:
    return [module.rate for module in sam.modules() if isinstance(module, DropPath)]


def same(first: dict[str, object], second: dict[str, object]) -> bool:
    ours, theirs = first["sam"], second["sam"]
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_branch_is_left_out_for_whole_pictures_and_scaled_up_for_the_others() -> None:
    path = DropPath()
    path.rate, path.generator = 0.25, torch.Generator().manual_seed(0)
    branch = path(torch.ones(400, 2, 2, 1))
    assert branch.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(branch, branch[:, :1, :1].expand_as(branch))
    assert float(branch.mean()) == pytest.approx(1, abs=0.1)


def test_nothing_is_left_out_at_inference_nor_at_rate_0() -> None:
    image = torch.randn(2, 3, SIDE, SIDE)
    sam = small_vit()
    expected = sam.image_encoder(image)
    PathDrops(sam, 0.9, seed=0, rank=0)
    assert not torch.equal(sam.image_encoder(image), expected)
    assert torch.equal(sam.eval().image_encoder(image), expected)
    PathDrops(sam.train(), 0.0, seed=0, rank=0)
    assert torch.equal(sam.image_encoder(image), expected)


def test_a_resumed_run_leaves_out_what_the_unbroken_one_does_and_each_process_its_own() -> None:
    one_step = weights_after(1, rate=0.5)
    assert not same(one_step, weights_after(1, rate=0.5, rank=1))
    assert not same(one_step, weights_after(1, rate=0.0))
    assert same(weights_after(2, rate=0.5), weights_after(2, rate=0.5, begin=one_step))


def test_an_encoder_without_paths_refuses_to_drop_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"drop_path is 0\.1, and 'tiny' has no paths"):
        TrainingSession(SessionParameters(start="tiny", drop_path=0.1, loop=LOOP), tmp_path)


def test_a_frozen_encoder_is_not_dropped_from_but_its_low_rank_updates_are() -> None:
    settings = {"start": "vit_b", "drop_path": 0.1, "loop": LOOP}
    with pytest.raises(ValueError, match="needs an image_encoder that learns"):
        SessionParameters(**settings, frozen=("image_encoder",))
    assert SessionParameters(**settings, frozen=("image_encoder",), low_rank=4).drop_path == 0.1


def test_a_session_leaves_later_blocks_out_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.training.session.build_sam", lambda _: small_vit())
    parameters = SessionParameters(start="vit_b", drop_path=0.4, loop=LOOP)
    session = TrainingSession(parameters, tmp_path)
    assert rates_of(session._trainer.sam) == pytest.approx([0, 0.2, 0.4])

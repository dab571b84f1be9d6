from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoints import load_checkpoint
from model.errors import ConfigurationError
from model.network.architectures import build_sam
from model.training.adaptation import add_low_rank, freeze_parts, merge_low_rank
from model.training.loop import LoopParameters
from model.training.losses import MaskLossParameters
from model.training.optimiser import OptimiserParameters
from model.training.rounds import RoundParameters
from model.training.session import SessionParameters, TrainingSession
from tests.model.training.example_factory import batches, make_example

LOOP = LoopParameters(
    steps=3,
    plain_steps=3,
    average_decay=0.0,
    plain_loss=MaskLossParameters(cross_entropy=1.0, focal=0.0, dice=1.0),
    rounds=RoundParameters(round_shares=(1.0,), box_share=0.0),
    optimiser=OptimiserParameters(warmup_steps=1, schedule="hold"),
)


def make_session(folder: Path, **changes: object) -> TrainingSession:
    settings: dict[str, object] = {"start": "tiny", "loop": LOOP}
    return TrainingSession(SessionParameters(**(settings | changes)), folder)


def test_a_session_exports_a_checkpoint_that_loads(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    session.train_step(batches())
    card = session.export(tmp_path / "out.safetensors", ["boxes"])
    loaded = load_checkpoint(tmp_path / "out.safetensors")
    assert loaded.model_id == card.model_id
    assert loaded.card.data == ("boxes",)


def test_a_checkpoint_is_the_parent_of_what_starts_from_it(tmp_path: Path) -> None:
    first = make_session(tmp_path / "a")
    parent = first.export(tmp_path / "parent.safetensors", [])
    second = make_session(tmp_path / "b", start=str(tmp_path / "parent.safetensors"))
    child = second.export(tmp_path / "child.safetensors", [])
    assert child.parent == parent.model_id


def test_low_rank_training_changes_the_encoder_and_merges_exactly(tmp_path: Path) -> None:
    session = make_session(tmp_path, low_rank=2, frozen=("prompt_encoder",))
    sam = session._trainer.sam
    before = build_sam("tiny").state_dict().keys()
    for _ in range(2):
        session.train_step(batches())
    image = torch.randn(1, 3, 64, 64)
    sam.eval()
    expected = sam.image_encoder(image)
    merged = merge_low_rank(sam.state_dict(), 2)
    assert merged.keys() == before
    plain = build_sam("tiny")
    plain.load_state_dict(merged)
    plain.eval()
    assert torch.allclose(plain.image_encoder(image), expected, atol=1e-5)


def test_low_rank_starts_from_exactly_the_given_weights() -> None:
    sam = build_sam("tiny").eval()
    image = torch.randn(1, 3, 64, 64)
    expected = sam.image_encoder(image)
    add_low_rank(sam, 4)
    assert torch.equal(sam.image_encoder(image), expected)


def test_frozen_parts_keep_weights_and_statistics(tmp_path: Path) -> None:
    session = make_session(tmp_path, frozen=("image_encoder",))
    encoder = session._trainer.sam.image_encoder
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    session.train_step(batches())
    assert all(torch.equal(before[name], t) for name, t in encoder.state_dict().items())


def test_freezing_everything_is_refused_before_any_work(tmp_path: Path) -> None:
    no_edges = LOOP.model_copy(update={"rounds": RoundParameters(edge_weight=0.0)})
    with pytest.raises(ConfigurationError, match="leave at least one"):
        make_session(
            tmp_path, frozen=("image_encoder", "prompt_encoder", "mask_decoder"), loop=no_edges
        )


def test_a_state_of_another_network_is_refused_by_folder(tmp_path: Path) -> None:
    make_session(tmp_path).save()
    with pytest.raises(ConfigurationError, match="does not fit this configuration"):
        make_session(tmp_path, low_rank=2)


def test_sample_masks_have_the_pictures_size(tmp_path: Path) -> None:
    example = make_example(0)
    masks = make_session(tmp_path).masks_of_clicks(example.image_SSC, [(20.0, 20.0)])
    assert masks[0].shape == example.image_SSC.shape[:2]
    assert masks[0].dtype == np.bool_


def test_freezing_parts_leaves_the_others_learning() -> None:
    sam = build_sam("tiny")
    freeze_parts(sam, ["image_encoder", "prompt_encoder"])
    learning = {name.split(".")[0] for name, p in sam.named_parameters() if p.requires_grad}
    assert learning == {"mask_decoder"}


def test_cached_embeddings_are_made_once_and_used_again(tmp_path: Path) -> None:
    session = make_session(tmp_path, frozen=("image_encoder",), cache_embeddings=True)
    drawn = batches(same=True)
    session.train_step(drawn)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "embeddings").iterdir()}
    session.train_step(drawn)
    assert len(files) == 2
    assert files == {p: p.stat().st_mtime_ns for p in (tmp_path / "embeddings").iterdir()}


def test_embeddings_of_a_learning_encoder_are_not_cached() -> None:
    with pytest.raises(ValueError, match="needs image_encoder among frozen"):
        SessionParameters(start="tiny", loop=LOOP, cache_embeddings=True)

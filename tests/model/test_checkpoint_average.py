from pathlib import Path

import pytest
import torch

from model.checkpoint_average import average_checkpoints
from model.checkpoints import load_checkpoint, save_checkpoint
from model.errors import CheckpointError
from model.network.architectures import build_sam


def make_checkpoint(path: Path, seed: int, data: tuple[str, ...] = ()) -> str:
    torch.manual_seed(seed)
    save_checkpoint(path, build_sam("tiny"), data=data, dtype=torch.float32)
    return str(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pair")
    one = make_checkpoint(folder / "one.safetensors", 1, ("nuclei", "leaves"))
    return one, make_checkpoint(folder / "two.safetensors", 2, ("leaves", "streets"))


def test_every_weight_is_the_mean_by_shares(pair: tuple[str, str], tmp_path: Path) -> None:
    one, two = (load_checkpoint(name).sam.state_dict() for name in pair)
    out = tmp_path / "mean.safetensors"
    average_checkpoints({pair[0]: 1, pair[1]: 3}, out)
    mean = load_checkpoint(out).sam.state_dict()
    for name, tensor in mean.items():
        if tensor.is_floating_point():
            expected = 0.25 * one[name] + 0.75 * two[name]
            assert torch.allclose(tensor, expected, rtol=1e-3, atol=1e-4), name


def test_the_card_says_what_it_was_made_of(pair: tuple[str, str], tmp_path: Path) -> None:
    ids = [load_checkpoint(name).model_id for name in pair]
    card = average_checkpoints({pair[0]: 1, pair[1]: 3}, tmp_path / "mean.safetensors")
    assert card.parent == ids[1]
    assert card.notes == f"Average of weights: 0.75 of {ids[1]} and 0.25 of {ids[0]}."
    assert set(card.data) == {"nuclei", "leaves", "streets"}
    assert card.thresholds is None
    assert card.model_id not in ids


def test_what_has_no_average_is_refused(pair: tuple[str, str], tmp_path: Path) -> None:
    one, two = pair
    out = tmp_path / "out.safetensors"
    for shares, target, message in (
        ({one: 1.0}, out, "two different checkpoints"),
        ({one: 1.0, two: 0.0}, out, "expected a number above 0"),
        ({one: 1.0, two: float("nan")}, out, "expected a number above 0"),
        ({one: 1.0, two: 1.0}, Path(one), "is there already"),
        ({one: 1.0, two: 1.0}, tmp_path / "out.pth", r"saved as \.safetensors"),
        ({one: 1.0, two: 1.0}, tmp_path / "none" / "out.safetensors", "is no folder"),
        ({one: 1.0, str(tmp_path / "gone.safetensors"): 1.0}, out, "gone"),
    ):
        with pytest.raises(CheckpointError, match=message):
            average_checkpoints(shares, target)
    assert not out.exists()


def test_networks_of_two_architectures_are_refused(
    pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        architecture = "vit_b"

    def load(name: str) -> object:
        return Other() if name == pair[1] else load_checkpoint(name)

    monkeypatch.setattr("model.checkpoint_average.load_checkpoint", load)
    with pytest.raises(CheckpointError, match="of the architecture vit_b"):
        average_checkpoints({pair[0]: 2, pair[1]: 1}, tmp_path / "out.safetensors")

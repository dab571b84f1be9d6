from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from model.checkpoint_card import CheckpointCard
from model.checkpoints import load_checkpoint, read_card
from model.errors import CheckpointError
from model.network.sam import PIXEL_MEAN, PIXEL_STD
from model.weights_id import weights_id


def small_state() -> dict[str, Tensor]:
    """Looks like vit_b at first sight, and lacks nearly everything."""
    return {"image_encoder.pos_embed": torch.zeros(1, 2, 2, 768)}


def assert_refused(path: Path, message: str) -> None:
    for read in (read_card, load_checkpoint):
        with pytest.raises(CheckpointError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_the_pixel_normalisation_may_stand_in_a_file_if_it_is_ours(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "plain.pth")
    constants = {
        "pixel_mean": torch.tensor(PIXEL_MEAN).view(3, 1, 1),
        "pixel_std": torch.tensor(PIXEL_STD).view(3, 1, 1),
    }
    torch.save({**small_state(), **constants}, tmp_path / "more.pth")
    plain = read_card(tmp_path / "plain.pth")
    assert read_card(tmp_path / "more.pth").model_id == plain.model_id

    torch.save({**small_state(), "pixel_mean": torch.zeros(3, 1, 1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"another pixel normalisation: pixel_mean"):
        read_card(tmp_path / "other.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"not weights at all\n" * 50, b"PK\x03\x04 broken archive"]
)
def test_files_that_are_something_else_are_refused(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"strange{suffix}"
    path.write_bytes(content)
    assert_refused(path, r"cannot be read as|damaged archive")


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.001])
def test_cut_safetensors_are_refused(saved: Path, kept: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * kept)])
    assert_refused(saved, "cannot be read as safetensors .*get the file again")


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.01])
def test_cut_official_files_are_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.pth"
    torch.save(small_state(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert_refused(path, "cannot be read as PyTorch weights|damaged archive")


def test_a_flipped_bit_in_the_weights_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-1000] ^= 1
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged: its weights have the id"):
        load_checkpoint(saved)


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    assert_refused(path, "not a mask-engine checkpoint")


@pytest.mark.parametrize(
    "card",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"format_version": 2}),
        json.dumps({"format_version": 1, "architecture": "tiny"}),
    ],
)
def test_cards_of_newer_versions_or_damaged_ones_are_refused(tmp_path: Path, card: str) -> None:
    path = tmp_path / "newer.safetensors"
    safetensors.torch.save_file({"w": torch.zeros(3)}, path, metadata={"mask_engine": card})
    assert_refused(path, "has a card that cannot be read .*update mask-engine")


def test_unknown_architectures_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "later.safetensors"
    weights = {"w": torch.zeros(3)}
    card = CheckpointCard("huge", weights_id(weights))
    safetensors.torch.save_file(weights, path, metadata=card.to_header())
    with pytest.raises(CheckpointError, match="architecture 'huge', expected one of tiny"):
        load_checkpoint(path)


def change(path: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    """Edit the weights of a saved checkpoint, with a card that fits."""
    weights = safetensors.torch.load_file(path)
    edit(weights)
    card = CheckpointCard("tiny", weights_id(weights))
    safetensors.torch.save_file(weights, path, metadata=card.to_header())


TOKEN = "mask_decoder.iou_token.weight"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda w: w.pop(TOKEN), rf"in 1 of its weights, such as: {TOKEN} is missing"),
        (lambda w: w.update(extra=torch.zeros(2)), "extra is not known"),
        (
            lambda w: w.update({TOKEN: torch.zeros(1, 7)}),
            rf"{TOKEN} is float32 \(1, 7\), expected float32 \(1, 256\)",
        ),
        (
            lambda w: w.update({TOKEN: torch.zeros(1, 256, dtype=torch.int32)}),
            rf"{TOKEN} is int32 \(1, 256\), expected float32 \(1, 256\)",
        ),
        (
            lambda w: w.update({TOKEN: torch.full((1, 256), float("inf"))}),
            f"holds NaN or infinity in {TOKEN}",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    saved: Path, edit: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    change(saved, edit)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


def test_an_official_file_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "few.pth")
    with pytest.raises(CheckpointError, match="does not fit the architecture vit_b"):
        load_checkpoint(tmp_path / "few.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": torch.zeros(2)}, r"not a SAM checkpoint: it has no 'image_encoder\.pos_embed'"),
        (
            {"image_encoder.pos_embed": torch.zeros(1, 2, 2, 192)},
            "not a SAM checkpoint: it is 192 wide in",
        ),
        ({"model": small_state(), "step": 3}, r"holds 'model' \(dict\) among its weights"),
        ([torch.zeros(2)], "holds a list, expected a dictionary"),
        ({1: torch.zeros(2)}, "holds a dict, expected a dictionary of weights by name"),
        ({"a": torch.zeros(2).to_sparse()}, r"holds 'a' \(Tensor\) .*dense tensors only"),
    ],
)
def test_pytorch_files_with_something_else_are_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    torch.save(content, tmp_path / "else.pth")
    assert_refused(tmp_path / "else.pth", message)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_never_run(tmp_path: Path, zipped: bool) -> None:
    target, path = tmp_path / "exploded", tmp_path / "bomb.pth"
    state = {**small_state(), "bomb": Bomb(target)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert_refused(path, "holds code, which is never run")
    assert not target.exists()


def test_a_bare_pickle_is_never_run(tmp_path: Path) -> None:
    target, path = tmp_path / "exploded", tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps(Bomb(target)))
    assert_refused(path, "holds code, which is never run")
    assert not target.exists()


def test_archives_that_swell_are_not_opened(tmp_path: Path) -> None:
    honest, path = tmp_path / "honest.pth", tmp_path / "swelling.pth"
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, honest)
    with (
        zipfile.ZipFile(honest) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    assert path.stat().st_size < honest.stat().st_size / 100
    assert_refused(path, "would unpack to .*it was not opened")


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_ends_in_a_checkpoint_error_or_not_at_all(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "damaged.pth"
    torch.save({"a": torch.zeros(3), "image_encoder.pos_embed": torch.zeros(1, 1, 1, 768)}, path)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for position in rng.integers(0, len(data), 30):
        data[position] = rng.integers(0, 256)
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_a_text_file_is_refused_without_advice_to_run_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Notes\n")
    with pytest.raises(CheckpointError, match="cannot be read as PyTorch weights") as caught:
        load_checkpoint(path)
    assert "weights_only" not in str(caught.value)

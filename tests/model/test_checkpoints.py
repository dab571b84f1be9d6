from __future__ import annotations

import copy
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import segment_anything
import torch
from torch import Tensor

from model.checkpoint_card import CheckpointCard, Thresholds
from model.checkpoints import load_checkpoint, read_card, save_checkpoint, update_card
from model.errors import CheckpointError
from model.network.architectures import build_sam
from model.network.sam import PIXEL_MEAN, PIXEL_STD, Sam
from model.weights_id import weights_id


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(7)
    return build_sam("tiny").eval()


@pytest.fixture(scope="module")
def saved_bytes(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "tiny.safetensors"
    save_checkpoint(path, sam)
    return path.read_bytes()


@pytest.fixture
def saved(saved_bytes: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(saved_bytes)
    return path


# Own checkpoints


def test_what_is_saved_in_float32_is_loaded_unchanged(sam: Sam, tmp_path: Path) -> None:
    card = save_checkpoint(tmp_path / "a.safetensors", sam, dtype=torch.float32)
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.architecture == "tiny"
    assert checkpoint.model_id == card.model_id == weights_id(sam.state_dict())
    assert not checkpoint.sam.training
    for name, tensor in sam.state_dict().items():
        assert torch.equal(checkpoint.sam.state_dict()[name], tensor), name


def test_float16_halves_the_file_and_is_loaded_as_float32(sam: Sam, saved: Path) -> None:
    weights = load_checkpoint(saved).sam.state_dict()
    count = sum(tensor.numel() for tensor in weights.values())
    assert saved.stat().st_size < 2.1 * count
    for name, tensor in sam.state_dict().items():
        if tensor.is_floating_point():
            assert weights[name].dtype == torch.float32
            stored = tensor.half().float() if tensor.ndim > 1 else tensor
            assert torch.equal(weights[name], stored), name


def test_a_variance_beyond_float16_is_kept(sam: Sam, tmp_path: Path) -> None:
    sam = copy.deepcopy(sam)
    name = "image_encoder.neck.norm32.running_var"
    sam.state_dict()[name].fill_(1e6)
    save_checkpoint(tmp_path / "wide.safetensors", sam)
    assert load_checkpoint(tmp_path / "wide.safetensors").sam.state_dict()[name].max() == 1e6


def test_the_model_id_is_of_the_weights_as_stored(sam: Sam, tmp_path: Path) -> None:
    half = save_checkpoint(tmp_path / "half.safetensors", sam)
    full = save_checkpoint(tmp_path / "full.safetensors", sam, dtype=torch.float32)
    assert half.model_id != full.model_id
    assert load_checkpoint(tmp_path / "half.safetensors").model_id == half.model_id
    assert len(half.model_id) == 16
    assert int(half.model_id, 16) >= 0


def test_the_same_network_is_saved_as_the_same_bytes(
    sam: Sam, saved_bytes: bytes, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "again.safetensors", sam)
    assert (tmp_path / "again.safetensors").read_bytes() == saved_bytes


def test_a_card_is_read_back_as_it_was_written(sam: Sam, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    card = save_checkpoint(
        path,
        sam,
        parent="0123456789abcdef",
        data=("bbbc038/train", "procedural"),
        metrics={"miou_1_click": 0.5},
        thresholds=Thresholds(predicted_iou=0.7, stability=0.85),
        notes="Trained in an afternoon.",
    )
    assert read_card(path) == card == load_checkpoint(path).card
    assert card.data == ("bbbc038/train", "procedural")


def test_reading_a_card_builds_no_network(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(architecture: str) -> Sam:
        raise AssertionError(f"built {architecture}")

    monkeypatch.setattr("model.checkpoints.build_sam", refuse)
    assert read_card(saved).architecture == "tiny"


def test_a_card_may_change_without_touching_the_model_id(saved: Path) -> None:
    before = read_card(saved)
    after = update_card(saved, metrics={"miou": 0.6}, thresholds=Thresholds(0.8, 0.9))
    assert read_card(saved) == after
    assert after.model_id == before.model_id
    assert load_checkpoint(saved).card.metrics == {"miou": 0.6}


def test_what_follows_from_the_weights_cannot_be_changed(saved: Path) -> None:
    with pytest.raises(ValueError, match="model_id"):
        update_card(saved, model_id="0" * 16)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_thresholds_lie_between_0_and_1(value: float) -> None:
    with pytest.raises(ValueError, match=r"threshold stability is .*, expected 0\.\.1"):
        Thresholds(predicted_iou=0.5, stability=value)


def test_a_network_with_nan_is_not_saved(tmp_path: Path) -> None:
    broken = build_sam("tiny")
    torch.nn.init.constant_(broken.mask_decoder.iou_token.weight, float("nan"))
    with pytest.raises(ValueError, match=r"mask_decoder\.iou_token\.weight is not finite"):
        save_checkpoint(tmp_path / "a.safetensors", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file_and_no_other(
    sam: Sam, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, sam)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_checkpoints_are_saved_as_safetensors_only(sam: Sam, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"saved as \.safetensors, not as a\.pth"):
        save_checkpoint(tmp_path / "a.pth", sam)


# Official files


@pytest.fixture(scope="module")
def official_vit_b(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    torch.manual_seed(8)
    state = segment_anything.sam_model_registry["vit_b"]().state_dict()
    path = tmp_path_factory.mktemp("official") / "sam_vit_b.pth"
    torch.save(state, path)
    return path, state


def test_official_files_load_with_every_weight(
    official_vit_b: tuple[Path, dict[str, Tensor]],
) -> None:
    path, state = official_vit_b
    checkpoint = load_checkpoint(path)
    assert checkpoint.architecture == "vit_b"
    assert checkpoint.card.thresholds == Thresholds(predicted_iou=0.88, stability=0.95)
    loaded = checkpoint.sam.state_dict()
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(loaded[name], tensor), name
    # The kind of file does not enter the id.
    assert checkpoint.model_id == weights_id(state)


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


# Broken, foreign and hostile files


def small_state() -> dict[str, Tensor]:
    """Looks like vit_b at first sight, and lacks nearly everything."""
    return {"image_encoder.pos_embed": torch.zeros(1, 2, 2, 768)}


def assert_refused(path: Path, message: str) -> None:
    for read in (read_card, load_checkpoint):
        with pytest.raises(CheckpointError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


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

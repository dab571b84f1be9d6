from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import segment_anything
import torch
from torch import Tensor

from model.card_entries import DataSet, Result, TrainingRun
from model.checkpoint_card import HEADER_KEY, CheckpointCard, Thresholds, card_from_header
from model.checkpoints import load_checkpoint, read_card, save_checkpoint, update_card
from model.errors import CheckpointError
from model.network.architectures import build_sam
from model.network.sam import Sam
from model.weights_id import weights_id

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


def test_others_may_read_a_new_checkpoint_as_they_may_any_new_file(
    sam: Sam, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "new.safetensors", sam)
    finally:
        os.umask(before)
    assert (tmp_path / "new.safetensors").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["new.safetensors"]


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


def test_a_card_without_the_newer_entries_is_read_as_having_none() -> None:
    header = CheckpointCard("tiny", "0" * 16, notes="old").to_header()
    old = json.loads(header[HEADER_KEY])
    for name in ("data_sets", "recipe", "results", "limits"):
        del old[name]
    card = card_from_header({HEADER_KEY: json.dumps(old)}, "old.safetensors")
    assert card == CheckpointCard("tiny", "0" * 16, notes="old")


def training_run(hours: float) -> TrainingRun:
    return TrainingRun(configuration="a.yaml", steps=5, pictures=20, side_px=64, hours=hours)


def test_entries_of_a_card_are_read_back_as_they_were_written() -> None:
    card = CheckpointCard(
        "tiny",
        "0" * 16,
        data_sets=(DataSet(name="boxes", licence="CC0"),),
        recipe=(training_run(hours=0.5),),
        results=(Result("boxes", 7, {"miou_1": 0.4}, {"grabcut": 0.3}),),
        limits=("Finds boxes only.",),
    )
    assert card_from_header(card.to_header(), "a.safetensors") == card


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DataSet(name="boxes", licence=""), "licence\n.*at least 1 character"),
        (lambda: training_run(hours=float("nan")), "hours\n.*a finite number"),
        (lambda: Result("boxes", 1, {"miou_1": float("nan")}, {}), "boxes: miou_1 is nan"),
    ],
)
def test_entries_that_tell_nothing_are_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_card_with_an_entry_that_is_not_known_is_refused_in_one_line() -> None:
    header = CheckpointCard("tiny", "0" * 16, recipe=(training_run(hours=1.0),)).to_header()
    newer = header[HEADER_KEY].replace("hours", "watts")
    with pytest.raises(CheckpointError, match=r"read \(TrainingRun watts: [^\n]*\): written by"):
        card_from_header({HEADER_KEY: newer}, "a.safetensors")


def test_reading_a_card_builds_no_network(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(architecture: str) -> Sam:
        raise AssertionError(f"built {architecture}")

    monkeypatch.setattr("model.checkpoints.build_sam", refuse)
    assert read_card(saved).architecture == "tiny"


def test_a_card_may_change_without_touching_the_model_id(saved: Path) -> None:
    before = read_card(saved)
    saved.chmod(0o640)
    after = update_card(saved, metrics={"miou": 0.6}, thresholds=Thresholds(0.8, 0.9))
    assert read_card(saved) == after
    assert saved.stat().st_mode & 0o777 == 0o640
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

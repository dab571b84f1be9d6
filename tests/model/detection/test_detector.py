from __future__ import annotations

import numpy as np
import pytest
import torch

from model.checkpoints import load_checkpoint
from model.detection.detector import load_detector, read_detector_card, save_detector
from model.detection.network import ObjectDetectorNetwork
from model.detection.training import DetectorExample, DetectorSchedule, DetectorTrainer
from model.errors import CheckpointError
from model.geometry import Geometry
from model.sam_embedding import SamEmbedding

MODEL_ID = "0123456789abcdef"
SMALL = 128  # px of input: an embedding of 8 x 8


def make_embedding(model_id: str = MODEL_ID, original_hw=(96, 64)) -> SamEmbedding:
    random = torch.Generator().manual_seed(1)
    features = torch.randn(1, 256, 8, 8, generator=random)
    return SamEmbedding(features, None, Geometry(original_hw, SMALL), model_id)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = ObjectDetectorNetwork(SMALL)
    # Untrained, everything is as likely an object as not: all boxes are above the least score.
    save_detector(tmp_path / "d.safetensors", network, model_id=MODEL_ID, data=["discs"])
    return tmp_path / "d.safetensors"


def test_a_saved_detector_finds_the_same_boxes_inside_the_photo(saved):
    first, second = load_detector(saved), load_detector(saved)
    found, again = first.find(make_embedding()), second.find(make_embedding())
    assert len(found.scores) > 0
    assert np.array_equal(found.boxes_xyxy, again.boxes_xyxy)
    assert (np.diff(found.scores) <= 0).all()
    left, top, right, bottom = found.boxes_xyxy.T
    assert ((left >= 0) & (left <= right) & (right <= 63)).all()
    assert ((top >= 0) & (top <= bottom) & (bottom <= 95)).all()
    card = read_detector_card(saved)
    assert (card.parent, card.data, first.detector_id) == (MODEL_ID, ("discs",), card.model_id)


def test_embeddings_of_another_model_are_refused(saved):
    with pytest.raises(ValueError, match=r"made by model f+, this detector reads those of 0123"):
        load_detector(saved).find(make_embedding("f" * 16))


def test_a_file_of_no_use_is_named(tmp_path, saved):
    with pytest.raises(CheckpointError, match="no such detector; `mask-engine train-detector"):
        load_detector(tmp_path / "none.safetensors")
    from model.checkpoint_names import checkpoint_path

    with pytest.raises(CheckpointError, match="is a checkpoint of 'tiny', no detector"):
        load_detector(checkpoint_path("starter"))
    with pytest.raises(CheckpointError, match="'object_detector', expected one of"):
        load_checkpoint(saved)
    data = bytearray(saved.read_bytes())
    data[-100] ^= 0xFF
    saved.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_detector(saved)


def test_training_goes_on_from_a_saved_state_to_the_same_weights(tmp_path):
    schedule = DetectorSchedule(steps=2, warm_up_steps=1)
    examples = [make_example(seed) for seed in range(2)]
    straight = DetectorTrainer(SMALL, schedule)
    losses = [straight.learn(examples) for _ in range(2)]
    assert straight.is_done
    assert all(np.isfinite(losses))
    begun = DetectorTrainer(SMALL, schedule)
    begun.learn(examples)
    begun.save_state(tmp_path / "state.pt")
    resumed = DetectorTrainer(SMALL, schedule)
    resumed.load_state(tmp_path / "state.pt")
    assert resumed.learn(examples) == losses[1]
    for one, other in zip(straight.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


def make_example(seed: int) -> DetectorExample:
    random = np.random.default_rng(seed)
    boxes = np.array([[10, 12, 50, 60]] if seed else np.zeros((0, 4)), np.float32)
    features = random.standard_normal((256, 8, 8)).astype(np.float16)
    return DetectorExample(features, (128, 85), boxes)

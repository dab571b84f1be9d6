"""Exported graphs answer as the network does, whatever is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.checkpoint_card import CheckpointCard
from model.checkpoints import LoadedCheckpoint
from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam
from model.onnx.export import export_model
from tests.model.official_sam import StubEncoder, official_small_sam
from tests.model.onnx.graphs_run import Graphs

SIDE = 128
CELLS = SIDE // 16

# Writing the graphs takes a quarter of a minute, whatever is asked of them then.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def official():
    return official_small_sam(SIDE)


@pytest.fixture(scope="module")
def sam(official):
    made = Sam("tiny", SIDE, StubEncoder(SIDE), PromptEncoder(), MaskDecoder())
    weights = official.state_dict()
    made.load_state_dict({name: weights[name] for name in made.state_dict()})
    return made.eval()


@pytest.fixture(scope="module")
def folder(sam, tmp_path_factory):
    target = tmp_path_factory.mktemp("onnx")
    card = CheckpointCard("tiny", "0" * 16, None, (), {}, None, "")
    export_model(LoadedCheckpoint(sam, card), target, meta_form=False)
    return target


@pytest.fixture(scope="module")
def graphs(folder):
    return Graphs(folder)


@pytest.fixture(scope="module")
def features():
    return torch.randn(1, 256, CELLS, CELLS, generator=torch.Generator().manual_seed(1))


def in_torch(sam, features, points, labels, box=None, earlier=None):
    with torch.inference_mode():
        sparse, dense = sam.prompt_encoder(
            torch.tensor([points], dtype=torch.float32) if points else None,
            torch.tensor([labels]) if points else None,
            None if box is None else torch.tensor([box], dtype=torch.float32),
            earlier,
            embedding_hw=(CELLS, CELLS),
        )
        positions = sam.prompt_encoder.dense_positions((CELLS, CELLS))
        logits, iou = sam.mask_decoder(features, positions, sparse, dense)
    return logits.numpy(), iou.numpy()


def assert_same(found, expected):
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_any_number_of_points_is_answered_as_in_torch(graphs, sam, features, count):
    rng = np.random.default_rng(count)
    points = rng.uniform(0, SIDE, (count, 2)).tolist()
    labels = rng.integers(0, 2, count).tolist()
    shared = graphs.share(features.numpy())
    found = graphs.ask(shared, [*points, [0, 0]], [*labels, -1])
    assert_same(found, in_torch(sam, features, points, labels))


def test_a_box_stands_among_the_points_as_its_corners(graphs, sam, features):
    shared = graphs.share(features.numpy())
    found = graphs.ask(shared, [[50, 60], [10, 20], [90, 100]], [1, 2, 3])
    assert_same(found, in_torch(sam, features, [[50, 60]], [1], box=[10, 20, 90, 100]))


def test_a_box_alone_is_a_prompt(graphs, sam, features):
    shared = graphs.share(features.numpy())
    found = graphs.ask(shared, [[10, 20], [90, 100]], [2, 3])
    assert_same(found, in_torch(sam, features, [], [], box=[10, 20, 90, 100]))


def test_earlier_logits_go_through_the_image_part(graphs, sam, features):
    earlier = torch.randn(1, 1, 4 * CELLS, 4 * CELLS) * 5
    shared = graphs.share(features.numpy(), earlier.numpy())
    found = graphs.ask(shared, [[40, 40], [0, 0]], [0, -1])
    assert_same(found, in_torch(sam, features, [[40, 40]], [0], earlier=earlier))


def test_weights_of_16_bits_give_nearly_the_same_and_half_the_file(folder, graphs, features):
    half = Graphs(folder, ".half")
    prompt = [[40, 40], [0, 0]], [1, -1]
    full_logits, full_iou = graphs.ask(graphs.share(features.numpy()), *prompt)
    logits, iou = half.ask(half.share(features.numpy()), *prompt)
    assert np.abs(iou - full_iou).max() < 0.02
    assert np.mean((logits > 0) == (full_logits > 0)) > 0.99
    files = graphs.described["files"]
    assert files["prompt.half"]["bytes"] < 0.6 * files["prompt"]["bytes"]


def test_the_encoder_is_a_graph_too(graphs, sam):
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        expected = sam.image_encoder(pixels).numpy()
    np.testing.assert_allclose(graphs.encode(pixels.numpy()), expected, atol=1e-3)


@pytest.fixture(scope="module")
def everything_exported(sam, tmp_path_factory):
    target = tmp_path_factory.mktemp("with-meta-form")
    card = CheckpointCard("tiny", "0" * 16, None, (), {}, None, "")
    export_model(LoadedCheckpoint(sam, card), target)
    return Graphs(target)


@pytest.mark.parametrize("size_hw", [(90, 120), (301, 200)])
def test_the_public_form_gives_what_the_public_export_gives(
    everything_exported, official, features, size_hw
):
    from segment_anything.utils.onnx import SamOnnxModel

    inputs = {
        "image_embeddings": features,
        "point_coords": torch.tensor([[[30.0, 40.0], [0.0, 0.0]]]),
        "point_labels": torch.tensor([[1.0, -1.0]]),
        "mask_input": torch.zeros(1, 1, 4 * CELLS, 4 * CELLS),
        "has_mask_input": torch.zeros(1),
        "orig_im_size": torch.tensor([float(side) for side in size_hw]),
    }
    with torch.inference_mode():
        expected = SamOnnxModel(official, return_single_mask=False)(*inputs.values())
    found = everything_exported.decode({name: value.numpy() for name, value in inputs.items()})
    assert found[0].shape == (1, 4, *size_hw)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-3)


def test_the_description_names_model_files_and_normalisation(folder, graphs):
    described = graphs.described
    assert described["model_id"] == "0" * 16
    assert described["input_size"] == SIDE
    assert described["pixel_mean"] == [123.675, 116.28, 103.53]
    for file in described["files"].values():
        assert (folder / file["name"]).stat().st_size == file["bytes"]


def test_a_folder_without_encoder_and_full_weights_is_smaller(sam, tmp_path):
    card = CheckpointCard("tiny", "0" * 16, None, (), {}, None, "")
    exported = export_model(
        LoadedCheckpoint(sam, card),
        tmp_path,
        encoder=False,
        meta_form=False,
        full_weights=False,
    )
    assert sorted(exported.files) == ["image.half", "prompt.half"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "image.half.onnx",
        "model.json",
        "prompt.half.onnx",
    ]

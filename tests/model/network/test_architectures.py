from __future__ import annotations

import pytest
import segment_anything
import torch

from model.network.architectures import ARCHITECTURES, build_sam


def test_unknown_architectures_are_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown architecture 'vit_x': expected one of tiny"):
        build_sam("vit_x")


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_official_architectures_have_the_official_weights(name: str) -> None:
    with torch.device("meta"):
        reference = segment_anything.sam_model_registry[name]().state_dict()
        ours = build_sam(name).state_dict()
    assert {key: tensor.shape for key, tensor in ours.items()} == {
        key: tensor.shape for key, tensor in reference.items()
    }


def test_tiny_shares_prompt_encoder_and_decoder_with_the_official_networks() -> None:
    tiny = build_sam("tiny")
    with torch.device("meta"):
        reference = segment_anything.sam_model_registry["vit_b"]()
    for part in ("prompt_encoder", "mask_decoder"):
        shapes = {k: t.shape for k, t in getattr(tiny, part).state_dict().items()}
        expected = {k: t.shape for k, t in getattr(reference, part).state_dict().items()}
        assert shapes == expected


@torch.inference_mode()
def test_tiny_embeds_at_a_sixteenth_of_its_input() -> None:
    tiny = build_sam("tiny").eval()
    side = ARCHITECTURES["tiny"].input_size
    assert tiny.image_encoder(torch.zeros(1, 3, side, side)).shape == (
        1,
        256,
        side // 16,
        side // 16,
    )

"""Batches, bfloat16 and compilation change what an encoder costs, not what it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import pytest
import torch
from torch import Tensor

from model.encoder_options import EncoderOptions
from model.network.image_encoder import ImageEncoderViT
from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam
from model.prompts import Prompt
from model.sam_segmenter import SamSegmenter
from tests.model.official_sam import loaded, photo, sharpen

SIDE = 256
PHOTO = photo(150, 200)


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(4)
    encoder = ImageEncoderViT(
        channels=32, depth=2, heads=2, global_blocks=(1,), input_size=SIDE, out_channels=256
    )
    return sharpen(Sam("vit_b", SIDE, encoder, PromptEncoder(), MaskDecoder())).eval()


@pytest.fixture(scope="module")
def plain(sam: Sam) -> Tensor:
    return SamSegmenter(loaded(sam)).embed(PHOTO).features


def test_several_images_are_embedded_as_each_alone(sam: Sam, plain: Tensor) -> None:
    segmenter = SamSegmenter(loaded(sam))
    other = photo(90, 40, seed=1)
    first, second = segmenter.embed_several([PHOTO, other])
    torch.testing.assert_close(first.features, plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(second.features, segmenter.embed(other).features, atol=1e-5, rtol=0)
    assert (first.geometry.original_hw, second.geometry.original_hw) == ((150, 200), (90, 40))
    stored = segmenter.embedding_from_bytes(second.to_bytes())
    assert torch.equal(stored.features, second.features)


def test_bfloat16_embeds_alike_and_the_decoder_stays_in_float32(sam: Sam, plain: Tensor) -> None:
    segmenter = SamSegmenter(loaded(sam), encoder=EncoderOptions(precision="bfloat16"))
    embedding = segmenter.embed(PHOTO)
    assert embedding.features.dtype == torch.float32
    difference = (embedding.features - plain).norm() / plain.norm()
    assert 1e-5 < difference < 0.03  # it did something, and no more than 8 bits would
    answers = segmenter.segment(embedding, [Prompt.of([[20, 30]])], multimask=True)
    assert answers.logits.dtype == np.float32


@pytest.mark.slow
def test_a_compiled_encoder_embeds_the_same(
    sam: Sam, plain: Tensor, cannot_run: Callable[[str], NoReturn]
) -> None:
    if shutil.which("g++") is None:
        cannot_run("torch.compile needs a C++ compiler")
    segmenter = SamSegmenter(loaded(sam), encoder=EncoderOptions(compiled=True))
    torch.testing.assert_close(segmenter.embed(PHOTO).features, plain, atol=1e-4, rtol=0)

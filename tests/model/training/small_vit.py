"""A network with a ViT so small that it learns in a test, from the same random weights always."""

import torch

from model.network.image_encoder import ImageEncoderViT
from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam
from tests.model.training.example_factory import SIDE


def small_vit() -> Sam:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(channels=16, depth=3, heads=2, global_blocks=(1,), input_size=SIDE)
    return Sam("vit_b", SIDE, encoder, PromptEncoder(), MaskDecoder())

"""The public package as the reference: small and full networks with the same random weights."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import segment_anything.modeling as official
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.checkpoint_card import CheckpointCard
from model.checkpoints import LoadedCheckpoint
from model.network.image_encoder import ImageEncoderViT
from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam
from model.weights_id import weights_id

Network = TypeVar("Network", bound=nn.Module)

INPUT_SIZE = 512
CELLS = INPUT_SIZE // 16


class StubEncoder(nn.Module):
    """One convolution where an image encoder would be; the same module in both networks."""

    def __init__(self, input_size: int = INPUT_SIZE) -> None:
        super().__init__()
        self.img_size = input_size
        self.proj = nn.Conv2d(3, 256, kernel_size=16, stride=16)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image)


def official_prompt_encoder(input_size: int = INPUT_SIZE) -> official.PromptEncoder:
    cells = input_size // 16
    return official.PromptEncoder(
        embed_dim=256,
        image_embedding_size=(cells, cells),
        input_image_size=(input_size, input_size),
        mask_in_chans=16,
    )


def official_mask_decoder() -> official.MaskDecoder:
    transformer = official.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    return official.MaskDecoder(transformer_dim=256, transformer=transformer)


def official_small_sam(input_size: int = INPUT_SIZE, seed: int = 0) -> official.Sam:
    """The public network with a stub encoder; 512 px as the tiny network, or less to be quick."""
    torch.manual_seed(seed)
    sam = official.Sam(
        StubEncoder(input_size), official_prompt_encoder(input_size), official_mask_decoder()
    )
    return sharpen(sam).eval()


def official_vit_b(input_size: int) -> official.Sam:
    """All of ViT-B; at 1024 px it is the published network."""
    torch.manual_seed(6)
    encoder = official.ImageEncoderViT(
        img_size=input_size,
        embed_dim=768,
        depth=12,
        num_heads=12,
        out_chans=256,
        norm_layer=lambda width: nn.LayerNorm(width, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=(2, 5, 8, 11),
    )
    sam = official.Sam(encoder, official_prompt_encoder(input_size), official_mask_decoder())
    return sharpen(sam).eval()


def same_vit_b(reference: official.Sam) -> Sam:
    """Our network with the weights of `official_vit_b`."""
    input_size = reference.image_encoder.img_size
    encoder = ImageEncoderViT(
        channels=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11), input_size=input_size
    )
    sam = Sam("vit_b", input_size, encoder, PromptEncoder(), MaskDecoder())
    sam.load_state_dict(reference.state_dict(), strict=True)
    return sam.eval()


def same_small_sam(reference: official.Sam) -> Sam:
    """Our network with the weights of `official_small_sam`."""
    input_size = reference.image_encoder.img_size
    sam = Sam("tiny", input_size, StubEncoder(input_size), PromptEncoder(), MaskDecoder())
    sam.load_state_dict(reference.state_dict(), strict=True)
    return sam.eval()


def loaded(sam: Sam) -> LoadedCheckpoint:
    """As if `sam` had come from a file."""
    return LoadedCheckpoint(sam, CheckpointCard(sam.architecture, weights_id(sam.state_dict())))


def sharpen(network: Network) -> Network:
    """Make random weights less bland: attention that chooses, position codes that matter."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "pos_embed" in name or "rel_pos" in name:
                parameter.normal_(std=0.3)
            elif "q_proj.weight" in name or "k_proj.weight" in name:
                parameter.mul_(3)
            elif "bias" in name or "norm" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Colour gradients with some noise: not flat, not all noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (height + width)], -1)
    return np.clip(smooth + rng.normal(0, 30, smooth.shape), 0, 255).astype(np.uint8)

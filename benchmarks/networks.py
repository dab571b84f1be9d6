"""The published network and ours with the same weights, and photos to show them.

There are no published weights of a small ViT, and random ones find nothing. So the embedding is
the starter's, enlarged, plus a faint share of what the ViT makes of the photo: the ViT's work and
its rounding count, and the decoder, the starter's, finds what it always finds. Both networks hold
the very same modules' weights; the starter's encoder, which both run, takes a few hundredths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import segment_anything.modeling as official
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

from model.checkpoint_card import CheckpointCard
from model.checkpoints import LoadedCheckpoint, load_checkpoint
from model.network.image_encoder import ImageEncoderViT
from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam
from model.weights_id import weights_id

PHOTOS: Final = Path(__file__).parents[1] / "examples" / "photos"
TILES: Final = ("coins.png", "coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg", "cell.png")
INPUT_SIZE: Final = 1024
VIT_SHARE: Final = 0.02


@dataclass(frozen=True)
class VitSize:
    """Width, blocks and heads of a ViT, and its blocks that attend over the whole picture."""

    channels: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


SIZES: Final = {
    "vit_t192": VitSize(192, 12, 3, (2, 5, 8, 11)),
    "vit_b": VitSize(768, 12, 12, (2, 5, 8, 11)),
}


class SharedEncoder(nn.Module):
    """The starter's embedding and a faint share of a ViT's."""

    def __init__(self, vit: nn.Module, starter: Sam) -> None:
        super().__init__()
        self.img_size = INPUT_SIZE
        self.vit = vit
        self.starter = starter.image_encoder
        self.starter_size = starter.input_size

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """(B, 3, 1024, 1024) -> (B, 256, 64, 64)."""
        of_vit: Tensor = self.vit(image_BCHW)
        small = F.interpolate(image_BCHW, (self.starter_size, self.starter_size), mode="area")
        of_starter = F.interpolate(self.starter(small), of_vit.shape[-2:], mode="bilinear")
        return of_starter + VIT_SHARE * of_vit


def both_networks(size: str, device: str) -> tuple[official.Sam, LoadedCheckpoint]:
    """The published network and ours, with the same weights."""
    torch.manual_seed(0)
    starter = load_checkpoint("starter").sam
    theirs = _official_sam(SIZES[size], starter)
    ours = _own_sam(SIZES[size], starter)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    card = CheckpointCard("vit_b", weights_id(ours.state_dict()))
    return theirs.to(device).eval(), LoadedCheckpoint(ours.to(device).eval(), card)


def photo(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Example photos side by side, as many as make tiles of about square shape."""
    height, width = size_hw
    columns, rows = (3, 2) if height * width > 10**6 else (1, 1)
    canvas = Image.new("RGB", (width, height))
    for place, name in enumerate(TILES[: columns * rows]):
        row, column = divmod(place, columns)
        left, right = column * width // columns, (column + 1) * width // columns
        top, bottom = row * height // rows, (row + 1) * height // rows
        tile = Image.open(PHOTOS / name).convert("RGB")
        canvas.paste(ImageOps.fit(tile, (right - left, bottom - top)), (left, top))
    return np.array(canvas)


def _official_sam(size: VitSize, starter: Sam) -> official.Sam:
    vit = official.ImageEncoderViT(
        img_size=INPUT_SIZE,
        embed_dim=size.channels,
        depth=size.depth,
        num_heads=size.heads,
        out_chans=256,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=size.global_blocks,
    )
    _make_positions_matter(vit)
    cells = INPUT_SIZE // 16
    prompts = official.PromptEncoder(256, (cells, cells), (INPUT_SIZE, INPUT_SIZE), 16)
    transformer = official.TwoWayTransformer(2, 256, 8, 2048)
    decoder = official.MaskDecoder(transformer_dim=256, transformer=transformer)
    prompts.load_state_dict(starter.prompt_encoder.state_dict())
    decoder.load_state_dict(starter.mask_decoder.state_dict())
    return official.Sam(SharedEncoder(vit, starter), prompts, decoder)


def _own_sam(size: VitSize, starter: Sam) -> Sam:
    vit = ImageEncoderViT(
        channels=size.channels,
        depth=size.depth,
        heads=size.heads,
        global_blocks=size.global_blocks,
        input_size=INPUT_SIZE,
    )
    encoder = SharedEncoder(vit, starter)
    return Sam("vit_b", INPUT_SIZE, encoder, PromptEncoder(), MaskDecoder())


def _make_positions_matter(vit: nn.Module) -> None:
    """They begin as zeros, which would hide a mistake in how they are used."""
    is_position: Callable[[str], bool] = lambda name: "pos" in name  # noqa: E731
    for name, parameter in vit.named_parameters():
        if is_position(name):
            nn.init.normal_(parameter, std=0.1)

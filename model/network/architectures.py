"""The architectures by name, and how each is built. Weights are random: see `model.checkpoints`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from torch import nn

from model.network.image_encoder import ImageEncoderViT
from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam


@dataclass(frozen=True)
class Architecture:
    """What tells one architecture from another: its input's side and its image encoder."""

    input_size: int
    build_image_encoder: Callable[[], nn.Module]


def _vit_b() -> nn.Module:
    return ImageEncoderViT(channels=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))


def _vit_l() -> nn.Module:
    return ImageEncoderViT(channels=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))


def _vit_h() -> nn.Module:
    return ImageEncoderViT(channels=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))


def _tiny() -> nn.Module:
    from model.network.tiny_encoder import TinyEncoder

    return TinyEncoder()


ARCHITECTURES: Final[Mapping[str, Architecture]] = MappingProxyType(
    {
        "tiny": Architecture(input_size=512, build_image_encoder=_tiny),
        "vit_b": Architecture(input_size=1024, build_image_encoder=_vit_b),
        "vit_l": Architecture(input_size=1024, build_image_encoder=_vit_l),
        "vit_h": Architecture(input_size=1024, build_image_encoder=_vit_h),
    }
)


def build_sam(architecture: str) -> Sam:
    """Build a network with random weights.

    Raises:
        ValueError: an architecture that does not exist.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ValueError(f"unknown architecture {architecture!r}: expected one of {known}")
    entry = ARCHITECTURES[architecture]
    return Sam(
        architecture, entry.input_size, entry.build_image_encoder(), PromptEncoder(), MaskDecoder()
    )

"""The whole network: image encoder, prompt encoder and mask decoder (paper, figure 4).

The state dict has the official names, so official files load with `strict=True`.
"""

from typing import Final

import torch
from torch import Tensor, nn

from model.network.mask_decoder import MaskDecoder
from model.network.prompt_encoder import PromptEncoder

PIXEL_MEAN: Final = (123.675, 116.28, 103.53)
PIXEL_STD: Final = (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's red, green and blue, 0..255."""


class Sam(nn.Module):
    """Segment Anything.

    Args:
        architecture: the name that `build_sam` knows it by.
        input_size: side of the square that the image encoder takes.
        image_encoder: (B, 3, S, S) normalised -> (B, 256, S / 16, S / 16).
        prompt_encoder: see `PromptEncoder.forward`.
        mask_decoder: see `MaskDecoder.forward`.
    """

    def __init__(
        self,
        architecture: str,
        input_size: int,
        image_encoder: nn.Module,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.input_size = input_size
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.prompt_encoder.no_mask_embed.weight.device

    def normalise(self, image_BCHW: Tensor) -> Tensor:
        """RGB (B, 3, H, W), 0..255 -> what the image encoder takes, before padding."""
        mean_C11, std_C11 = (
            torch.tensor(values, device=image_BCHW.device).view(3, 1, 1)
            for values in (PIXEL_MEAN, PIXEL_STD)
        )
        return (image_BCHW - mean_C11) / std_C11

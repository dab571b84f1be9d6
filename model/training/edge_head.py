"""Outlines drawn from the embedding alone: an aid to training."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class EdgeHead(nn.Module):
    """Outlines at stride 4 from the embedding: an aid to training, dropped afterwards."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.to_pixels = nn.Conv2d(channels, 16, 1)

    def forward(self, embedding_BChw: Tensor) -> Tensor:
        """(B, C, h, w) -> logits (B, 4h, 4w)."""
        return F.pixel_shuffle(self.to_pixels(embedding_BChw), 4).squeeze(1)

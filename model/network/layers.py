"""The small layers that every part of the network shares; plain torch, no state beside weights.

Shape suffixes: P prompts, T tokens, C channels, H and W height and width.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of a picture, each pixel on its own."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x_PCHW: Tensor) -> Tensor:
        """Normalise (P, C, H, W) over C; statistics are the biased ones of layer norm."""
        mean_P1HW = x_PCHW.mean(dim=1, keepdim=True)
        centred_PCHW = x_PCHW - mean_P1HW
        variance_P1HW = centred_PCHW.square().mean(dim=1, keepdim=True)
        normal_PCHW = centred_PCHW * torch.rsqrt(variance_P1HW + self.eps)
        return normal_PCHW * self.weight[:, None, None] + self.bias[:, None, None]

    def channels_last(self, x_PTC: Tensor) -> Tensor:
        """Normalise (..., C) over its last axis: the same function for another layout."""
        return F.layer_norm(x_PTC, self.weight.shape, self.weight, self.bias, self.eps)


class FeedForward(nn.Module):
    """The two linear layers of a transformer block, with `activation` between them."""

    def __init__(self, channels: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)
        self.activation = activation

    def forward(self, x_PTC: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        out: Tensor = self.lin2(self.activation(self.lin1(x_PTC)))
        return out


class MultiLayerPerceptron(nn.Module):
    """Linear layers of the given `widths`, with ReLU between them and nothing after the last."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(before, after) for before, after in itertools.pairwise(widths)
        )

    def forward(self, x_PC: Tensor) -> Tensor:
        """(..., widths[0]) -> (..., widths[-1])."""
        for index, layer in enumerate(self.layers):
            x_PC = layer(F.relu(x_PC) if index else x_PC)
        return x_PC

"""Training less than everything: frozen parts, and low-rank updates beside frozen layers (LoRA)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from model.network.sam import Sam

Part: TypeAlias = Literal["image_encoder", "prompt_encoder", "mask_decoder"]

_ORIGINAL = ".parametrizations.weight.original"
_DOWN = ".parametrizations.weight.0.down"
_UP = ".parametrizations.weight.0.up"


class LowRankUpdate(nn.Module):
    """A weight plus the product of two thin matrices (Hu et al. 2021, "LoRA").

    Args:
        weight: (out, in) linear or (out, in, k, k) convolution kernel; treated as a matrix
            (out, in * k * k).
        rank: of the update.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        # Zero, so that training starts from exactly the weights it was given.
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer uses."""
        return weight + (self.up @ self.down).view_as(weight)


def freeze_parts(sam: Sam, parts: Iterable[Part]) -> None:
    """Keep the weights of whole parts of the network as they are."""
    for part in parts:
        module = cast(nn.Module, getattr(sam, part))
        module.requires_grad_(False)
        freeze_statistics(module)


def freeze_statistics(module: nn.Module) -> None:
    """Let batch normalisation use the statistics it has, and leave them as they are.

    For batches of very few pictures, and for parts that must not change at all.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def add_low_rank(sam: Sam, rank: int) -> None:
    """Freeze the image encoder but for a low-rank update beside each linear layer and 1x1 or
    dense convolution; depthwise kernels and norms are too small to need one.
    """  # noqa: D205 - one sentence, two lines
    freeze_parts(sam, ["image_encoder"])
    for module in list(sam.image_encoder.modules()):
        if _takes_update(module):
            weight = cast(Tensor, module.weight)
            update = LowRankUpdate(weight, rank).to(weight.device)
            # `unsafe` skips a forward pass whose result is known: zero is added.
            parametrize.register_parametrization(module, "weight", update, unsafe=True)


def merge_low_rank(weights: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    """Weights under their plain names, updates added in: a checkpoint like any other."""
    if not rank:
        return dict(weights)
    merged: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.endswith(_ORIGINAL):
            layer = name.removesuffix(_ORIGINAL)
            update = weights[layer + _UP] @ weights[layer + _DOWN]
            merged[f"{layer}.weight"] = tensor + update.view_as(tensor)
        elif not name.endswith((_DOWN, _UP)):
            merged[name] = tensor
    return merged


def _takes_update(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and module.in_channels > 3
    return isinstance(module, nn.Linear)

"""Image cells as an array for every prompt: the paper's form, for training and mask prompts.

A projection of cells with their position code is linear, so it falls into parts with lives of
their own: the code's share is a constant of the weights, the first layer's is a constant of the
image, and only the rest is work for each prompt.

Shape suffixes: P prompts, N sources (1 if all prompts share the image, else P), T tokens,
L image cells (h * w), C channels (256), D channels inside an attention (128).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from model.network.attention import Attention


@dataclass(frozen=True)
class CellPositions:
    """The position code's share in one layer's projections of the image, each (1, L, D)."""

    keys: Tensor
    queries: Tensor


@dataclass(frozen=True)
class TransformerPositions:
    """The position code as every layer sees it: a constant of the weights and the grid's size."""

    layers: tuple[CellPositions, ...]
    final_keys_1LD: Tensor

    def keys_of(self, layer: int) -> Tensor:
        """Of this layer, or of the last attention behind all layers."""
        return self.layers[layer].keys if layer < len(self.layers) else self.final_keys_1LD


@dataclass(frozen=True)
class CellProjections:
    """The image as one layer's attentions see it, each (N, L, D).

    `keys` and `values` answer the tokens, `queries` ask them.
    """

    keys: Tensor
    values: Tensor
    queries: Tensor


@dataclass(frozen=True)
class PlainCells:
    """The cells as `layer` meets them.

    Attributes:
        cells_NLC: (N, L, C).
        first: their projections for the first layer: once an image, not once a prompt.
        positions: of all layers.
        layer: how many layers are behind them.
    """

    cells_NLC: Tensor
    first: CellProjections
    positions: TransformerPositions
    layer: int = 0

    def answer(self, to_image: Attention, queries_PTD: Tensor) -> Tensor:
        """What the tokens learn from the image, (P, T, C)."""
        if self.layer == 0:
            return to_image.attend(queries_PTD, self.first.keys, self.first.values)
        keys_PLD = to_image.k_proj(self.cells_NLC) + self.positions.keys_of(self.layer)
        return to_image.attend(queries_PTD, keys_PLD, to_image.v_proj(self.cells_NLC))

    def updated(
        self, to_tokens: Attention, keys_PTD: Tensor, values_PTD: Tensor, norm: nn.LayerNorm
    ) -> PlainCells:
        """The cells after they attended to the tokens: as the next layer meets them."""
        queries_NLD = self.first.queries
        if self.layer:
            queries_NLD = to_tokens.q_proj(self.cells_NLC) + (
                self.positions.layers[self.layer].queries
            )
        update_PLC = to_tokens.attend(queries_NLD, keys_PTD, values_PTD)
        cells_PLC = norm(self.cells_NLC + update_PLC)
        return replace(self, cells_NLC=cells_PLC, layer=self.layer + 1)

    def select(self, keep_P: Tensor | slice) -> PlainCells:
        """Only some of the prompts, by a boolean each or as a range."""
        return replace(self, cells_NLC=self.cells_NLC[keep_P])

    def projected(self, weight: Tensor, bias: Tensor, cells: slice) -> Tensor:
        """A linear layer on some of the cells, (P, those, C')."""
        return F.linear(self.cells_NLC[:, cells], weight, bias)

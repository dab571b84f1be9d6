"""The two-way transformer of the mask decoder (paper, appendix A, "Lightweight mask decoder").

Tokens attend to each other and to the image, then the image attends to the tokens. How the image's
cells are held is not this file's concern: `PlainCells` are an array for every prompt, `SharedCells`
a short sum over what the prompts of an image share. Both give the same numbers.

Shape suffixes: P prompts, N sources (1 if all prompts share the image, else P), T tokens,
L image cells (h * w), C channels (256), D channels inside an attention (128 or 256).
"""

from __future__ import annotations

from typing import Protocol, Self, TypeVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from model.network.attention import Attention
from model.network.layers import FeedForward
from model.network.plain_cells import (
    CellPositions,
    CellProjections,
    PlainCells,
    TransformerPositions,
)
from model.network.shared_cells import SharedCells
from model.network.shared_image import (
    CellLayer,
    LayerConstants,
    layer_constants,
    share_image,
)


class ImageCells(Protocol):
    """The image's cells as the next layer meets them."""

    def answer(self, to_image: Attention, queries_PTD: Tensor) -> Tensor:
        """What the tokens learn from the image, (P, T, C)."""
        ...

    def updated(
        self, to_tokens: Attention, keys_PTD: Tensor, values_PTD: Tensor, norm: nn.LayerNorm
    ) -> Self:
        """The cells after they attended to the tokens."""
        ...

    def select(self, keep_P: Tensor | slice) -> Self:
        """Only some of the prompts, by a boolean each or as a range."""
        ...

    def projected(self, weight: Tensor, bias: Tensor, cells: slice) -> Tensor:
        """A linear layer on some of the cells, (P, those, C')."""
        ...


Cells = TypeVar("Cells", bound=ImageCells)


class TwoWayBlock(nn.Module):
    """Self-attention of tokens, tokens to image, feed-forward, image to tokens."""

    def __init__(self, channels: int, heads: int, hidden: int, *, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(channels, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, heads, downsample=2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, hidden, nn.ReLU())
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, heads, downsample=2)

    def project_positions(self, positions_1LC: Tensor) -> CellPositions:
        """The position code's share in what this layer's attentions see of the image."""
        return CellPositions(
            keys=F.linear(positions_1LC, self.cross_attn_token_to_image.k_proj.weight),
            queries=F.linear(positions_1LC, self.cross_attn_image_to_token.q_proj.weight),
        )

    def project_cells(self, cells_NLC: Tensor, positions: CellPositions) -> CellProjections:
        """Project the image once for both attentions: it does not change between them."""
        return CellProjections(
            keys=self.cross_attn_token_to_image.k_proj(cells_NLC) + positions.keys,
            values=self.cross_attn_token_to_image.v_proj(cells_NLC),
            queries=self.cross_attn_image_to_token.q_proj(cells_NLC) + positions.queries,
        )

    def cell_layer(self) -> CellLayer:
        """The parts that see the image's cells."""
        return CellLayer(self.cross_attn_token_to_image, self.cross_attn_image_to_token, self.norm4)

    def forward(
        self, tokens_PTC: Tensor, token_codes_PTC: Tensor, cells: Cells
    ) -> tuple[Tensor, Cells]:
        """Update tokens (P, T, C) and image cells."""
        tokens_PTC = self.norm1(self._mix_tokens(tokens_PTC, token_codes_PTC))

        to_image = self.cross_attn_token_to_image
        queries_PTD = to_image.q_proj(tokens_PTC + token_codes_PTC)
        tokens_PTC = self.norm2(tokens_PTC + cells.answer(to_image, queries_PTD))
        tokens_PTC = self.norm3(tokens_PTC + self.mlp(tokens_PTC))

        to_tokens = self.cross_attn_image_to_token
        keys_PTD = to_tokens.k_proj(tokens_PTC + token_codes_PTC)
        values_PTD = to_tokens.v_proj(tokens_PTC)
        return tokens_PTC, cells.updated(to_tokens, keys_PTD, values_PTD, self.norm4)

    def _mix_tokens(self, tokens_PTC: Tensor, token_codes_PTC: Tensor) -> Tensor:
        if self.is_first:
            # The tokens are their own codes so far: nothing to add, no residual (as trained).
            mixed: Tensor = self.self_attn(tokens_PTC, tokens_PTC, tokens_PTC)
            return mixed
        coded_PTC = tokens_PTC + token_codes_PTC
        return tokens_PTC + cast(Tensor, self.self_attn(coded_PTC, coded_PTC, tokens_PTC))


class TwoWayTransformer(nn.Module):
    """Two-way blocks, then one last attention from the tokens to the image."""

    def __init__(self, depth: int, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(channels, heads, hidden, is_first=index == 0) for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(channels, heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def project_positions(self, positions_1LC: Tensor) -> TransformerPositions:
        """Project the cells' position code (1, L, C): serves every image."""
        return TransformerPositions(
            layers=tuple(layer.project_positions(positions_1LC) for layer in self._blocks()),
            final_keys_1LD=F.linear(positions_1LC, self.final_attn_token_to_image.k_proj.weight),
        )

    def prepare(self, cells_NLC: Tensor, positions: TransformerPositions) -> PlainCells:
        """Project image cells (N, L, C) for the first layer: serves every prompt on them."""
        first = self._blocks()[0].project_cells(cells_NLC, positions.layers[0])
        return PlainCells(cells_NLC, first, positions)

    def constants(self, positions: TransformerPositions) -> tuple[LayerConstants, ...]:
        """What `share` needs and every image shares."""
        return layer_constants(self._cell_layers(), self.final_attn_token_to_image, positions)

    def share(
        self,
        cells_LC: Tensor,
        constants: tuple[LayerConstants, ...],
        drawing_weight: Tensor,
        drawing_bias: Tensor,
    ) -> SharedCells:
        """Project image cells (L, C) for all layers and for the first step of drawing."""
        image = share_image(
            cells_LC,
            self._cell_layers(),
            self.final_attn_token_to_image,
            constants,
            drawing_weight,
            drawing_bias,
        )
        return SharedCells(image)

    def forward(self, cells: Cells, tokens_PTC: Tensor) -> tuple[Tensor, Cells]:
        """Run tokens (P, T, C) over an image's cells; returns both as they come out."""
        codes_PTC = tokens_PTC
        for layer in self._blocks():
            tokens_PTC, cells = layer(tokens_PTC, codes_PTC, cells)
        final = self.final_attn_token_to_image
        answer_PTC = cells.answer(final, final.q_proj(tokens_PTC + codes_PTC))
        return self.norm_final_attn(tokens_PTC + answer_PTC), cells

    def _blocks(self) -> list[TwoWayBlock]:
        return [cast(TwoWayBlock, layer) for layer in self.layers]

    def _cell_layers(self) -> list[CellLayer]:
        return [layer.cell_layer() for layer in self._blocks()]

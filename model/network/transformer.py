"""The two-way transformer of the mask decoder (paper, appendix A, "Lightweight mask decoder").

Tokens attend to each other and to the image, then the image attends to the tokens. A projection
of cells with their position code is linear, so it falls into three parts with lives of their own:
the code's share is a constant of the weights (`project_positions`), the first layer's is a
constant of the image (`prepare`), and only the rest is work for each prompt (`forward`).

Shape suffixes: P prompts, N sources (1 if all prompts share the image, else P), T tokens,
L image cells (h * w), C channels (256), D channels inside an attention (128 or 256).
"""

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from model.network.layers import FeedForward


@dataclass(frozen=True)
class CellPositions:
    """The position code's share in one layer's projections of the image, each (1, L, D)."""

    keys: Tensor
    queries: Tensor


@dataclass(frozen=True)
class CellProjections:
    """The image as one layer's attentions see it, each (N, L, D).

    `keys` and `values` answer the tokens, `queries` ask them.
    """

    keys: Tensor
    values: Tensor
    queries: Tensor


@dataclass(frozen=True)
class TransformerPositions:
    """The position code as every layer sees it: a constant of the weights and the grid's size."""

    layers: tuple[CellPositions, ...]
    final_keys_1LD: Tensor


@dataclass(frozen=True)
class PreparedCells:
    """The image as the first layer sees it: once an image, not once a prompt."""

    cells_NLC: Tensor
    first: CellProjections
    positions: TransformerPositions


class Attention(nn.Module):
    """Multi-head attention whose inside may be narrower than its inputs."""

    def __init__(self, channels: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = channels // downsample
        if inner % heads:
            raise ValueError(f"{heads} heads do not divide {inner} channels")
        self.heads = heads
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def forward(self, q_PTC: Tensor, k_PTC: Tensor, v_PTC: Tensor) -> Tensor:
        """Attend from q (P, T, C) over k and v (P, T', C); returns (P, T, C)."""
        return self.attend(self.q_proj(q_PTC), self.k_proj(k_PTC), self.v_proj(v_PTC))

    def attend(self, q_PTD: Tensor, k_PTD: Tensor, v_PTD: Tensor) -> Tensor:
        """As `forward`, for inputs that are projected already; a batch of 1 is shared by all."""
        prompts = max(len(q_PTD), len(k_PTD))
        q, k, v = (self._split(x, prompts) for x in (q_PTD, k_PTD, v_PTD))
        mixed_PHTD = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(mixed_PHTD.transpose(1, 2).flatten(2))
        return out

    def _split(self, x_PTD: Tensor, prompts: int) -> Tensor:
        batch, tokens, inner = x_PTD.shape
        heads = x_PTD.reshape(batch, tokens, self.heads, inner // self.heads).transpose(1, 2)
        return heads.expand(prompts, -1, -1, -1)


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
        """The position code's share in `project_cells`."""
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

    def forward(
        self, tokens_PTC: Tensor, token_codes_PTC: Tensor, cells_NLC: Tensor, seen: CellProjections
    ) -> tuple[Tensor, Tensor]:
        """Update tokens (P, T, C) and image cells (P, L, C)."""
        tokens_PTC = self.norm1(self._mix_tokens(tokens_PTC, token_codes_PTC))

        to_image = self.cross_attn_token_to_image
        queries_PTD = to_image.q_proj(tokens_PTC + token_codes_PTC)
        tokens_PTC = self.norm2(tokens_PTC + to_image.attend(queries_PTD, seen.keys, seen.values))
        tokens_PTC = self.norm3(tokens_PTC + self.mlp(tokens_PTC))

        to_tokens = self.cross_attn_image_to_token
        keys_PTD = to_tokens.k_proj(tokens_PTC + token_codes_PTC)
        values_PTD = to_tokens.v_proj(tokens_PTC)
        update_PLC = to_tokens.attend(seen.queries, keys_PTD, values_PTD)
        return tokens_PTC, self.norm4(cells_NLC + update_PLC)

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

    def prepare(self, cells_NLC: Tensor, positions: TransformerPositions) -> PreparedCells:
        """Project image cells (N, L, C) for the first layer: serves every prompt on them."""
        first = self._blocks()[0]
        return PreparedCells(
            cells_NLC=cells_NLC,
            first=first.project_cells(cells_NLC, positions.layers[0]),
            positions=positions,
        )

    def forward(self, prepared: PreparedCells, tokens_PTC: Tensor) -> tuple[Tensor, Tensor]:
        """Run tokens (P, T, C) over a prepared image; returns tokens and cells (P, L, C)."""
        codes_PTC = tokens_PTC
        positions = prepared.positions
        first, *later = self._blocks()
        tokens_PTC, cells_PLC = first(tokens_PTC, codes_PTC, prepared.cells_NLC, prepared.first)
        for layer, layer_positions in zip(later, positions.layers[1:], strict=True):
            seen = layer.project_cells(cells_PLC, layer_positions)
            tokens_PTC, cells_PLC = layer(tokens_PTC, codes_PTC, cells_PLC, seen)

        final = self.final_attn_token_to_image
        answer_PTC = final.attend(
            final.q_proj(tokens_PTC + codes_PTC),
            final.k_proj(cells_PLC) + positions.final_keys_1LD,
            final.v_proj(cells_PLC),
        )
        return self.norm_final_attn(tokens_PTC + answer_PTC), cells_PLC

    def _blocks(self) -> list[TwoWayBlock]:
        return [cast(TwoWayBlock, layer) for layer in self.layers]

"""An image's share in the mask decoder's work: what all of its prompts have in common.

`SharedCells` says why: cells are `scale * base + weights.T @ directions + constant`. Here the base
and the constant are followed through the layers and seen through their projections, once.

Shape suffixes: L image cells, H heads, d channels a head, C channels, D = H * d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.attention import Attention
from model.network.plain_cells import TransformerPositions


class CellLayer(NamedTuple):
    """The parts of a two-way block that see the image's cells, in their order."""

    to_image: Attention
    to_tokens: Attention
    norm: nn.LayerNorm


@dataclass(frozen=True)
class LayerConstants:
    """What one layer's attentions see of position code and constant: the same for all images.

    Attributes:
        keys_HdL: as keys, with their bias.
        queries_HdL: as queries, with their bias; None behind the last layer.
        values_D: as values, with their bias (values have no position code).
    """

    keys_HdL: Tensor
    values_D: Tensor
    queries_HdL: Tensor | None


@dataclass(frozen=True)
class AlongBase:
    """Products of the base with what one layer adds to a cell, seen through the norms behind it.

    Attributes:
        heads_HdL: with what a unit of a head's value adds.
        constant_L: with the layer's constant.
    """

    heads_HdL: Tensor
    constant_L: Tensor


@dataclass(frozen=True)
class SharedNorm:
    """What a layer norm needs to know of the base, centred: without the mean of its channels.

    Attributes:
        square_L: its squared length.
        along: for each layer so far.
        constant_C: the constant before the norm.
    """

    square_L: Tensor
    along: tuple[AlongBase, ...]
    constant_C: Tensor


@dataclass(frozen=True)
class SharedLayer:
    """What one layer's attentions and its norm see of the base."""

    keys_HdL: Tensor
    values_HLd: Tensor
    queries_HdL: Tensor | None = None
    norm: SharedNorm | None = None


@dataclass(frozen=True)
class SharedImage:
    """All that prompts share: `layers`, and last what the attention behind them sees.

    Attributes:
        layers, constants: one more than the transformer has layers.
        drawn_LC: the base, seen by the linear layer that begins the drawing.
        drawn_constant_C: the constant, seen by it, and its bias.
    """

    layers: tuple[SharedLayer, ...]
    constants: tuple[LayerConstants, ...]
    drawn_LC: Tensor
    drawn_constant_C: Tensor


def layer_constants(
    layers: Sequence[CellLayer], final: Attention, positions: TransformerPositions
) -> tuple[LayerConstants, ...]:
    """Follow the constant through the layers: each norm sets it to its own bias."""
    constant_C = torch.zeros_like(layers[0].norm.bias)
    found = []
    for layer, seen in zip(layers, positions.layers, strict=True):
        found.append(
            LayerConstants(
                keys_HdL=_constant(layer.to_image.k_proj, constant_C, seen.keys, final.heads),
                values_D=layer.to_image.v_proj(constant_C),
                queries_HdL=_constant(
                    layer.to_tokens.q_proj, constant_C, seen.queries, final.heads
                ),
            )
        )
        constant_C = layer.norm.bias
    last = _constant(final.k_proj, constant_C, positions.final_keys_1LD, final.heads)
    return (*found, LayerConstants(last, final.v_proj(constant_C), None))


def share_image(
    cells_LC: Tensor,
    layers: Sequence[CellLayer],
    final: Attention,
    constants: tuple[LayerConstants, ...],
    drawing_weight: Tensor,
    drawing_bias: Tensor,
) -> SharedImage:
    """Follow an image's cells (L, C) through the layers as far as no prompt changes them."""
    base_LC, constant_C = cells_LC, torch.zeros_like(cells_LC[0])
    found: list[SharedLayer] = []
    before_norms: list[Tensor] = []
    for index, (to_image, to_tokens, norm) in enumerate(layers):
        centred_LC = _centred(base_LC)
        before_norms.append(constant_C + to_tokens.out_proj.bias)
        found.append(
            SharedLayer(
                keys_HdL=_columns_by_head(base_LC @ to_image.k_proj.weight.T, to_image.heads),
                values_HLd=_rows_by_head(base_LC @ to_image.v_proj.weight.T, to_image.heads),
                queries_HdL=_columns_by_head(base_LC @ to_tokens.q_proj.weight.T, to_tokens.heads),
                norm=_norm_of(centred_LC, before_norms, layers[: index + 1]),
            )
        )
        base_LC, constant_C = norm.weight * centred_LC, norm.bias
    found.append(
        SharedLayer(
            keys_HdL=_columns_by_head(base_LC @ final.k_proj.weight.T, final.heads),
            values_HLd=_rows_by_head(base_LC @ final.v_proj.weight.T, final.heads),
        )
    )
    return SharedImage(
        layers=(_with_constants(found[0], constants[0]), *found[1:]),
        constants=constants,
        drawn_LC=base_LC @ drawing_weight.T,
        drawn_constant_C=F.linear(constant_C, drawing_weight, drawing_bias),
    )


def _with_constants(first: SharedLayer, constants: LayerConstants) -> SharedLayer:
    """No prompt has scaled the first layer's base, so one product serves base and constant."""
    return replace(
        first,
        keys_HdL=first.keys_HdL + constants.keys_HdL,
        queries_HdL=cast(Tensor, first.queries_HdL) + cast(Tensor, constants.queries_HdL),
    )


def _norm_of(
    centred_LC: Tensor, constants_C: Sequence[Tensor], layers_so_far: Sequence[CellLayer]
) -> SharedNorm:
    """The newest layer's heads add to the cells as they are, an older one's through its norm."""
    along: list[AlongBase] = []
    seen_LC = centred_LC
    for layer, constant_C in zip(reversed(layers_so_far), reversed(constants_C), strict=True):
        if along:
            seen_LC = _centred(layer.norm.weight * seen_LC)
        attention = layer.to_tokens
        heads_HdL = _columns_by_head(seen_LC @ attention.out_proj.weight, attention.heads)
        along.insert(0, AlongBase(heads_HdL, seen_LC @ constant_C))
    return SharedNorm(centred_LC.square().sum(dim=-1), tuple(along), constants_C[-1])


def _constant(linear: nn.Linear, constant_C: Tensor, code_1LD: Tensor, heads: int) -> Tensor:
    return _columns_by_head(code_1LD[0] + linear(constant_C), heads)


def _columns_by_head(x_LD: Tensor, heads: int) -> Tensor:
    """(L, D) -> (H, d, L), each head's cells beside each other."""
    return x_LD.T.reshape(heads, -1, len(x_LD)).contiguous()


def _rows_by_head(x_LD: Tensor, heads: int) -> Tensor:
    """(L, D) -> (H, L, d)."""
    return x_LD.reshape(len(x_LD), heads, -1).transpose(0, 1).contiguous()


def _centred(x_LC: Tensor) -> Tensor:
    return x_LC - x_LC.mean(dim=-1, keepdim=True)

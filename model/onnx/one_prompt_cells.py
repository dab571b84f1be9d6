"""Image cells that one prompt shares with others, for graphs: nothing is written in place.

The arithmetic is `model.network.shared_cells`': cells are `scale * base + weights.T @ directions +
constant`, and layer norms keep that form. That class serves batches in torch and reuses memory;
this one serves a single prompt and is made of plain products, as graph runtimes like them.

Shape suffixes: T tokens, H heads, d channels a head, R = H * T rows, L image cells, C channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.network.attention import Attention
from model.network.shared_image import LayerConstants, SharedImage, SharedLayer, SharedNorm


@dataclass(frozen=True)
class _Update:
    """What one layer added to the cells: `weights_RL.T @ directions_RC`."""

    weights_RL: Tensor
    directions_RC: Tensor
    values_HTd: Tensor

    def seen_by(self, linear: nn.Linear, heads: int) -> Tensor:
        """The directions, projected: (H, R, d)."""
        return _by_head(self.directions_RC @ linear.weight.T, heads)


@dataclass(frozen=True)
class OnePromptCells:
    """The cells of one prompt as the next layer meets them; a drop-in for `SharedCells`.

    Attributes:
        image: what prompts share.
        updates: of the layers behind.
        scale_L: of the base; None while it is 1.
    """

    image: SharedImage
    updates: tuple[_Update, ...] = ()
    scale_L: Tensor | None = None

    def answer(self, to_image: Attention, queries_1TD: Tensor) -> Tensor:
        """What the tokens learn from the image, (1, T, C)."""
        layer, constants = self._layer()
        scores_HTL = self._scores(
            _by_head(queries_1TD[0], to_image.heads),
            layer.keys_HdL,
            constants.keys_HdL,
            to_image.k_proj,
        )
        mixed_HTd = self._mixed(scores_HTL.softmax(dim=-1), layer.values_HLd, to_image.v_proj)
        mixed_TD = mixed_HTd.transpose(0, 1).flatten(1) + constants.values_D
        out: Tensor = to_image.out_proj(mixed_TD)
        return out.unsqueeze(0)

    def updated(
        self, to_tokens: Attention, keys_1TD: Tensor, values_1TD: Tensor, norm: nn.LayerNorm
    ) -> OnePromptCells:
        """The cells after they attended to the tokens."""
        layer, constants = self._layer()
        if layer.queries_HdL is None or layer.norm is None or constants.queries_HdL is None:
            raise RuntimeError("the cells have been through all layers")
        heads = to_tokens.heads
        scores_HTL = self._scores(
            _by_head(keys_1TD[0], heads), layer.queries_HdL, constants.queries_HdL, to_tokens.q_proj
        )
        values_HTd = _by_head(values_1TD[0], heads)
        out_HdC = _unfold(to_tokens.out_proj.weight.T, heads)
        directions_HTC = values_HTd @ out_HdC
        # A head's weights sum to one over the tokens, so the constant can ride on one head.
        directions_HTC = directions_HTC + _on_first_head(layer.norm.constant_C, heads)
        update = _Update(
            scores_HTL.softmax(dim=1).flatten(0, 1), directions_HTC.flatten(0, 1), values_HTd
        )
        return replace(self, updates=(*self.updates, update))._normalised(norm, layer.norm)

    def select(self, keep: Tensor | slice) -> OnePromptCells:
        """There is only the one prompt."""
        raise NotImplementedError(f"one prompt's cells were asked for {keep}")

    def projected(self, weight: Tensor, bias: Tensor, cells: slice) -> Tensor:
        """A linear layer on the cells, (1, L, C'): the one that the image was prepared for."""
        if self.scale_L is None:
            raise RuntimeError("the cells have been through no layer")
        image = self.image
        out_LC = self.scale_L[cells, None] * image.drawn_LC[cells] + image.drawn_constant_C
        weights_RL = torch.cat([update.weights_RL[:, cells] for update in self.updates])
        directions_RC = torch.cat([update.directions_RC for update in self.updates])
        return (out_LC + weights_RL.T @ (directions_RC @ weight.T)).unsqueeze(0)

    def _layer(self) -> tuple[SharedLayer, LayerConstants]:
        index = len(self.updates)
        return self.image.layers[index], self.image.constants[index]

    def _scores(
        self, vectors_HTd: Tensor, base_HdL: Tensor, constant_HdL: Tensor, linear: nn.Linear
    ) -> Tensor:
        """Scaled products (H, T, L) of tokens with the cells that `linear` projects."""
        heads = len(vectors_HTd)
        vectors_HTd = vectors_HTd / math.sqrt(vectors_HTd.shape[-1])
        scores_HTL = vectors_HTd @ base_HdL
        if self.scale_L is not None:  # until then the base holds the constant
            scores_HTL = scores_HTL * self.scale_L + vectors_HTd @ constant_HdL
        for update in self.updates:
            meets_HTR = vectors_HTd @ update.seen_by(linear, heads).transpose(1, 2)
            of_update_RL = meets_HTR.flatten(0, 1) @ update.weights_RL
            scores_HTL = scores_HTL + _unfold(of_update_RL, heads)
        return scores_HTL

    def _mixed(self, weights_HTL: Tensor, base_HLd: Tensor, linear: nn.Linear) -> Tensor:
        """Weighted sums (H, T, d) of the cells that `linear` projects."""
        heads = len(weights_HTL)
        scaled_HTL = weights_HTL if self.scale_L is None else weights_HTL * self.scale_L
        mixed_HTd = scaled_HTL @ base_HLd
        for update in self.updates:
            meets_RR = weights_HTL.flatten(0, 1) @ update.weights_RL.T
            mixed_HTd = mixed_HTd + _unfold(meets_RR, heads) @ update.seen_by(linear, heads)
        return mixed_HTd

    def _normalised(self, norm: nn.LayerNorm, shared: SharedNorm) -> OnePromptCells:
        """Layer norm: a cell's squared length comes from products of its parts."""
        updates = [_centred(update) for update in self.updates]
        square_L = shared.square_L
        if self.scale_L is not None:
            square_L = square_L * self.scale_L.square()
        for index in range(len(updates)):
            square_L = square_L + self._square_share(updates, index, shared)
        variance_L = square_L.clamp(min=0) / norm.normalized_shape[0]
        inverse_L = torch.rsqrt(variance_L + norm.eps)
        return replace(
            self,
            updates=tuple(
                replace(
                    update,
                    weights_RL=update.weights_RL * inverse_L,
                    directions_RC=update.directions_RC * norm.weight,
                )
                for update in updates
            ),
            scale_L=inverse_L if self.scale_L is None else inverse_L * self.scale_L,
        )

    def _square_share(self, updates: list[_Update], index: int, shared: SharedNorm) -> Tensor:
        """What an update adds to the squared length (L,), with the base and with older ones."""
        update, along = updates[index], shared.along[index]
        twice_HTL = 2 * update.values_HTd @ along.heads_HdL
        twice_HTL = twice_HTL + _on_first_head(2 * along.constant_L, len(twice_HTL))
        if self.scale_L is not None:
            twice_HTL = twice_HTL * self.scale_L
        twice_RL = twice_HTL.flatten(0, 1)
        for other in updates[: index + 1]:
            products_RR = update.directions_RC @ other.directions_RC.T
            if other is not update:
                products_RR = 2 * products_RR
            twice_RL = twice_RL + products_RR @ other.weights_RL
        return (twice_RL * update.weights_RL).sum(dim=0)


def _by_head(x_TD: Tensor, heads: int) -> Tensor:
    """(T, D) -> (H, T, d)."""
    # Not len(): a graph has any number of tokens.
    return x_TD.reshape(x_TD.shape[0], heads, -1).transpose(0, 1)


def _unfold(x_RC: Tensor, heads: int) -> Tensor:
    """(H * n, C) -> (H, n, C)."""
    return x_RC.reshape(heads, -1, x_RC.shape[-1])


def _on_first_head(x_N: Tensor, heads: int) -> Tensor:
    """(N,) -> (H, 1, N), zero on all heads but the first."""
    return torch.cat([x_N[None, None], x_N.new_zeros(heads - 1, 1, len(x_N))])


def _centred(update: _Update) -> _Update:
    """Without the mean of the channels."""
    directions_RC = update.directions_RC
    return replace(update, directions_RC=directions_RC - directions_RC.mean(dim=1, keepdim=True))

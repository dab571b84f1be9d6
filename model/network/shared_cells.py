"""Image cells that many prompts share, written as a sum: the same numbers as `PlainCells`.

An image-to-token attention gives a cell a mix of few rows: one for each token and head, 56 for a
click. So a prompt's cells need not be made. They are

    scale * base + weights.T @ directions + constant

with a base that all prompts share, and a layer norm keeps that form: it removes the mean of the
channels, divides by a number a cell, multiplies channels and sets the constant. Attention sees
cells through linear layers only, so the base is projected once an image (`SharedImage`) and a
prompt pays for its own 56 rows a layer: an eighth of the operations. Inference only: what is
written once is reused in place.

Shape suffixes: P prompts, T tokens, H heads, d channels a head, R = T * H rows, L image cells,
C channels, D = H * d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.network.attention import Attention
from model.network.shared_image import (
    LayerConstants,
    SharedImage,
    SharedLayer,
    SharedNorm,
)

# Of weights that sum to one, float32 cannot tell 4096 of these from nothing. They are made zeros,
# because products of such weights fall below 1e-38, where processors take a hundred times as long.
_NO_WEIGHT = 1e-15


@dataclass(frozen=True)
class Update:
    """What one layer added to the cells: the sum over rows of weight times direction.

    Attributes:
        weights_PTHL: of every cell for every row.
        directions_PRC: what a row adds.
        values_PTHd: what the directions were made of.
    """

    weights_PTHL: Tensor
    directions_PRC: Tensor
    values_PTHd: Tensor

    def seen_by(self, linear: nn.Linear) -> Tensor:
        """The directions, projected, (P, R, H, d)."""
        heads = self.values_PTHd.shape[2]
        return _by_head(self.directions_PRC @ linear.weight.T, heads)

    def centred(self) -> Update:
        """Without the mean of the channels."""
        directions_PRC = self.directions_PRC
        return replace(
            self, directions_PRC=directions_PRC - directions_PRC.mean(dim=-1, keepdim=True)
        )

    def scaled(self, by_cell_PL: Tensor, by_channel_C: Tensor) -> Update:
        """Every cell and every channel times a number; takes this update's memory."""
        self.weights_PTHL.mul_(by_cell_PL[:, None, None])
        return replace(self, directions_PRC=self.directions_PRC * by_channel_C)

    @property
    def weights_PRL(self) -> Tensor:
        """As a matrix."""
        return self.weights_PTHL.flatten(1, 2)


@dataclass(frozen=True)
class SharedCells:
    """The cells of a batch of prompts as the next layer meets them.

    Attributes:
        image: what the prompts share.
        updates: of the layers behind.
        scale_PL: of the base; None while it is 1.
    """

    image: SharedImage
    updates: tuple[Update, ...] = ()
    scale_PL: Tensor | None = None

    def answer(self, to_image: Attention, queries_PTD: Tensor) -> Tensor:
        """What the tokens learn from the image, (P, T, C)."""
        layer, constants = self._layer()
        scores_PTHL = self._scores(
            _by_head(queries_PTD, to_image.heads),
            layer.keys_HdL,
            constants.keys_HdL,
            to_image.k_proj,
        )
        weights_PTHL = _softmax(scores_PTHL, dim=-1)
        mixed_PTHd = self._mixed(weights_PTHL, layer.values_HLd, to_image.v_proj)
        out: Tensor = to_image.out_proj(mixed_PTHd.flatten(2) + constants.values_D)
        return out

    def updated(
        self, to_tokens: Attention, keys_PTD: Tensor, values_PTD: Tensor, norm: nn.LayerNorm
    ) -> SharedCells:
        """The cells after they attended to the tokens: as the next layer meets them."""
        layer, constants = self._layer()
        if layer.queries_HdL is None or layer.norm is None or constants.queries_HdL is None:
            raise RuntimeError("the cells have been through all layers")
        # The tokens' keys meet the cells' queries: it does not matter which of them asks.
        scores_PTHL = self._scores(
            _by_head(keys_PTD, to_tokens.heads),
            layer.queries_HdL,
            constants.queries_HdL,
            to_tokens.q_proj,
        )
        weights_PTHL = _softmax(scores_PTHL, dim=1)
        values_PTHd = _by_head(values_PTD, to_tokens.heads)
        directions_PTHC = torch.einsum(
            "pthd,chd->pthc",
            values_PTHd,
            to_tokens.out_proj.weight.reshape(len(norm.weight), to_tokens.heads, -1),
        )
        # A head's weights sum to one over the tokens, so the constant can ride on one head.
        directions_PTHC[:, :, 0] += layer.norm.constant_C
        update = Update(weights_PTHL, directions_PTHC.flatten(1, 2), values_PTHd)
        return replace(self, updates=(*self.updates, update))._normalised(norm, layer.norm)

    def select(self, keep_P: Tensor | slice) -> SharedCells:
        """Only some of the prompts, by a boolean each or as a range."""
        updates = tuple(
            Update(u.weights_PTHL[keep_P], u.directions_PRC[keep_P], u.values_PTHd[keep_P])
            for u in self.updates
        )
        scale_PL = None if self.scale_PL is None else self.scale_PL[keep_P]
        return replace(self, updates=updates, scale_PL=scale_PL)

    def projected(self, weight: Tensor, bias: Tensor, cells: slice) -> Tensor:
        """A linear layer on some of the cells, (P, those, C'): here they are made after all.

        The layer has to be the one that the image was prepared for.
        """
        if self.scale_PL is None:
            raise RuntimeError("the cells have been through no layer")
        image = self.image
        out_PLC = torch.addcmul(
            image.drawn_constant_C, self.scale_PL[:, cells, None], image.drawn_LC[cells]
        )
        for update in self.updates:
            out_PLC.baddbmm_(
                update.weights_PRL[:, :, cells].transpose(1, 2), update.directions_PRC @ weight.T
            )
        return out_PLC

    def _layer(self) -> tuple[SharedLayer, LayerConstants]:
        index = len(self.updates)
        return self.image.layers[index], self.image.constants[index]

    def _scores(
        self, vectors_PTHd: Tensor, base_HdL: Tensor, constant_HdL: Tensor, linear: nn.Linear
    ) -> Tensor:
        """Scaled products (P, T, H, L) of tokens with the cells that `linear` projects."""
        vectors_PTHd = vectors_PTHd / math.sqrt(vectors_PTHd.shape[-1])
        scores_PTHL = _product(vectors_PTHd, base_HdL)
        if self.scale_PL is not None:  # until then the base holds the constant
            scores_PTHL.mul_(self.scale_PL[:, None, None])
            _by_prompt_and_token(scores_PTHL).baddbmm_(
                _by_prompt_and_token(vectors_PTHd), constant_HdL
            )
        for update in self.updates:
            meets_PTHR = torch.einsum("pthd,prhd->pthr", vectors_PTHd, update.seen_by(linear))
            scores_PTHL.flatten(1, 2).baddbmm_(meets_PTHR.flatten(1, 2), update.weights_PRL)
        return scores_PTHL

    def _mixed(self, weights_PTHL: Tensor, base_HLd: Tensor, linear: nn.Linear) -> Tensor:
        """Weighted sums (P, T, H, d) of the cells that `linear` projects; spoils the weights."""
        of_updates = [self._mixed_update(weights_PTHL, update, linear) for update in self.updates]
        if self.scale_PL is not None:
            weights_PTHL.mul_(self.scale_PL[:, None, None])
        of_base_HQd = _by_prompt_and_token(weights_PTHL) @ base_HLd
        mixed_PTHd = of_base_HQd.transpose(0, 1).reshape(*weights_PTHL.shape[:3], -1)
        for of_update_PTHd in of_updates:
            mixed_PTHd += of_update_PTHd
        return mixed_PTHd

    def _mixed_update(self, weights_PTHL: Tensor, update: Update, linear: nn.Linear) -> Tensor:
        meets_PRR = weights_PTHL.flatten(1, 2) @ update.weights_PRL.transpose(1, 2)
        meets_PTHR = meets_PRR.reshape(*weights_PTHL.shape[:3], -1)
        return torch.einsum("pthr,prhd->pthd", meets_PTHR, update.seen_by(linear))

    def _normalised(self, norm: nn.LayerNorm, shared: SharedNorm) -> SharedCells:
        """Layer norm: a cell's squared length comes from products of its parts."""
        updates = [update.centred() for update in self.updates]
        square_PL = shared.square_L
        if self.scale_PL is not None:
            square_PL = square_PL * self.scale_PL.square()
        for index, update in enumerate(updates):
            along = shared.along[index]
            twice_PTHL = _product(2 * update.values_PTHd, along.heads_HdL)
            twice_PTHL[:, :, 0].add_(along.constant_L, alpha=2)
            if self.scale_PL is not None:
                twice_PTHL.mul_(self.scale_PL[:, None, None])
            twice_PRL = twice_PTHL.flatten(1, 2)
            for other in updates[: index + 1]:
                products_PRR = update.directions_PRC @ other.directions_PRC.transpose(1, 2)
                twice_PRL.baddbmm_(
                    products_PRR, other.weights_PRL, alpha=1 if other is update else 2
                )
            square_PL = square_PL + twice_PRL.mul_(update.weights_PRL).sum(dim=1)
        variance_PL = square_PL.clamp(min=0) / norm.normalized_shape[0]
        inverse_PL = torch.rsqrt(variance_PL + norm.eps)
        return replace(
            self,
            updates=tuple(update.scaled(inverse_PL, norm.weight) for update in updates),
            scale_PL=inverse_PL if self.scale_PL is None else inverse_PL * self.scale_PL,
        )


def _softmax(scores_PTHL: Tensor, dim: int) -> Tensor:
    """Softmax with zeros for what is next to nothing: `_NO_WEIGHT` says why."""
    return torch.threshold_(scores_PTHL.softmax(dim), _NO_WEIGHT, 0.0)


def _product(vectors_PTHd: Tensor, base_HdL: Tensor) -> Tensor:
    """(P, T, H, L), head by head: all prompts in one product, written where it belongs."""
    product_PTHL = vectors_PTHd.new_empty(*vectors_PTHd.shape[:3], base_HdL.shape[2])
    torch.bmm(_by_prompt_and_token(vectors_PTHd), base_HdL, out=_by_prompt_and_token(product_PTHL))
    return product_PTHL


def _by_head(x_PTD: Tensor, heads: int) -> Tensor:
    return x_PTD.reshape(*x_PTD.shape[:2], heads, -1)


def _by_prompt_and_token(x_PTHd: Tensor) -> Tensor:
    """(P, T, H, d) -> (H, P * T, d), as a view."""
    return x_PTHd.flatten(0, 1).transpose(0, 1)

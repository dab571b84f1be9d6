"""Image embedding and prompt tokens to masks (paper, figure 14: "lightweight mask decoder").

`forward` is all of it at once. Callers that ask many prompts of one image take the steps one by
one: `project_positions` once a model, `prepare` once an image, `attend` once a batch of prompts,
then `predict_iou` from the tokens alone and `draw` for the prompts that are worth it.

Shape suffixes: P prompts, N sources (1 or P), T tokens, M masks, L image cells (h * w),
C channels (256), h and w of the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.layers import LayerNorm2d, MultiLayerPerceptron
from model.network.plain_cells import PlainCells, TransformerPositions
from model.network.shared_cells import SharedCells
from model.network.shared_image import LayerConstants
from model.network.transformer import Cells, ImageCells, TwoWayTransformer

MASKS_PER_PROMPT = 4
SINGLE_MASK = slice(0, 1)
"""The one mask for prompts that leave no doubt."""
MULTIPLE_MASKS = slice(1, 4)
"""The three masks of an ambiguous prompt: whole, part and subpart, in no fixed order."""

# Rows of cells drawn at once: what they grow to fits a core's cache.
_ROWS_DRAWN_AT_ONCE = 16


@dataclass(frozen=True)
class DecoderPositions:
    """The position code of a grid of cells, projected: shared by all images."""

    transformer: TransformerPositions
    embedding_hw: tuple[int, int]


@dataclass(frozen=True)
class DecoderConstants:
    """What sharing an image needs, and no image changes."""

    transformer: tuple[LayerConstants, ...]
    embedding_hw: tuple[int, int]


@dataclass(frozen=True)
class PreparedImage(Generic[Cells]):
    """One image as the decoder wants it, shared by all of its prompts."""

    cells: Cells
    embedding_hw: tuple[int, int]


@dataclass(frozen=True)
class Attended:
    """A batch of prompts after the transformer: `iou_PC` and `masks_P4C` tokens, and the cells."""

    iou_PC: Tensor
    masks_P4C: Tensor
    cells: ImageCells
    embedding_hw: tuple[int, int]

    def select(self, keep_P: Tensor | slice) -> Attended:
        """Only some of the prompts, by a boolean each or as a range."""
        return replace(
            self,
            iou_PC=self.iou_PC[keep_P],
            masks_P4C=self.masks_P4C[keep_P],
            cells=self.cells.select(keep_P),
        )


class UpscalingLinears(NamedTuple):
    """Weight and bias of the linear layers that the two transposed convolutions are."""

    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]


class MaskDecoder(nn.Module):
    """Four masks and their predicted IoU for every prompt."""

    def __init__(self, channels: int = 256, heads: int = 8, hidden: int = 2048) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(2, channels, heads, hidden)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(MASKS_PER_PROMPT, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MultiLayerPerceptron([channels, channels, channels, channels // 8])
            for _ in range(MASKS_PER_PROMPT)
        )
        self.iou_prediction_head = MultiLayerPerceptron(
            [channels, channels, channels, MASKS_PER_PROMPT]
        )

    def forward(
        self, embedding: Tensor, dense_positions: Tensor, sparse_PNC: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """All four masks of every prompt.

        Args:
            embedding: (1, C, h, w) for prompts on one image, or (P, C, h, w).
            dense_positions: (1, C, h, w) of `PromptEncoder.dense_positions`.
            sparse_PNC: tokens (P, N, C) of the prompt encoder.
            dense: (1, C, h, w) or (P, C, h, w) of the prompt encoder.

        Returns:
            Logits (P, 4, 4h, 4w) and predicted IoU (P, 4).
        """
        positions = self.project_positions(dense_positions)
        attended = self.attend(self.prepare(embedding, positions, dense), sparse_PNC)
        return self.draw(attended, slice(None)), self.predict_iou(attended)

    def project_positions(self, dense_positions: Tensor) -> DecoderPositions:
        """Compute what depends on the grid's size alone, from (1, C, h, w)."""
        height, width = dense_positions.shape[-2:]
        cells_1LC = dense_positions.flatten(2).transpose(1, 2)
        return DecoderPositions(self.transformer.project_positions(cells_1LC), (height, width))

    def prepare(
        self, embedding: Tensor, positions: DecoderPositions, dense: Tensor
    ) -> PreparedImage[PlainCells]:
        """Compute what depends on the image and on `dense`, not on points and boxes.

        Without mask prompts `dense` is the same for all, so the result serves every prompt of the
        image; with mask prompts it serves this batch.
        """
        cells_NLC = (embedding + dense).flatten(2).transpose(1, 2).contiguous()
        cells = self.transformer.prepare(cells_NLC, positions.transformer)
        return PreparedImage(cells, positions.embedding_hw)

    def constants(self, positions: DecoderPositions) -> DecoderConstants:
        """Compute what `share` needs: once a model."""
        return DecoderConstants(
            self.transformer.constants(positions.transformer), positions.embedding_hw
        )

    def share(
        self, embedding: Tensor, constants: DecoderConstants, dense: Tensor
    ) -> PreparedImage[SharedCells]:
        """As `prepare` for one image and many prompts: more work now, an eighth for each prompt.

        For inference; `embedding` and `dense` are (1, C, h, w).
        """
        cells_LC = (embedding + dense)[0].flatten(1).T.contiguous()
        drawing = self._upscaling_linears().first
        shared = self.transformer.share(cells_LC, constants.transformer, *drawing)
        return PreparedImage(shared, constants.embedding_hw)

    def attend(self, prepared: PreparedImage[Cells], sparse_PNC: Tensor) -> Attended:
        """Run the transformer over a batch of prompts' sparse tokens (P, N, C)."""
        own_TC = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        own_PTC = own_TC.expand(len(sparse_PNC), -1, -1)
        tokens_PTC, cells = self.transformer(
            prepared.cells, torch.cat([own_PTC, sparse_PNC], dim=1)
        )
        return Attended(
            iou_PC=tokens_PTC[:, 0],
            masks_P4C=tokens_PTC[:, 1 : 1 + MASKS_PER_PROMPT],
            cells=cells,
            embedding_hw=prepared.embedding_hw,
        )

    def predict_iou(self, attended: Attended) -> Tensor:
        """The decoder's own estimate of each mask's IoU, (P, 4): needs no mask to be drawn."""
        iou_P4: Tensor = self.iou_prediction_head(attended.iou_PC)
        return iou_P4

    def draw(self, attended: Attended, wanted: slice) -> Tensor:
        """Logits (P, M, 4h, 4w) of the `wanted` masks of every prompt."""
        features_PAC = self._upscale(attended.cells, slice(None), self._upscaling_linears())
        logits_PMA = self._mask_weights(attended, wanted) @ features_PAC.transpose(1, 2)
        height, width = attended.embedding_hw
        blocks = _blocks_by_row(logits_PMA, (height, width))
        return blocks.reshape(*logits_PMA.shape[:2], 4 * height, 4 * width)

    def draw_chosen(
        self, attended: Attended, wanted: slice, chosen_PM: Tensor, *, one_by_one: bool
    ) -> Tensor:
        """Logits (N, 4h, 4w) of the `wanted` masks that are chosen, in their order.

        Prompts without a chosen mask cost nothing. Inference only. `one_by_one` is how a CPU is
        fast, whose cache holds little; a GPU wants everything at once.
        """
        if not one_by_one:
            worth_P = chosen_PM.any(dim=1)
            return self.draw(attended.select(worth_P), wanted)[chosen_PM[worth_P]]
        height, width = attended.embedding_hw
        weights_PMC = self._mask_weights(attended, wanted)
        linears = self._upscaling_linears()
        counts = chosen_PM.sum(dim=1).tolist()
        logits_NHW = weights_PMC.new_empty(sum(counts), 4 * height, 4 * width)
        for prompt, out_MHW in enumerate(torch.split(logits_NHW, counts)):
            if len(out_MHW):
                one = attended.select(slice(prompt, prompt + 1))
                self._draw_one(one, weights_PMC[prompt, chosen_PM[prompt]], linears, out_MHW)
        return logits_NHW

    def _draw_one(
        self, one: Attended, weights_MC: Tensor, linears: UpscalingLinears, out_MHW: Tensor
    ) -> None:
        """Draw a prompt's masks, a few rows of cells at a time.

        What those grow to stays in a core's cache from the first layer to the last.
        """
        height, width = one.embedding_hw
        for row in range(0, height, _ROWS_DRAWN_AT_ONCE):
            rows = min(_ROWS_DRAWN_AT_ONCE, height - row)
            some = slice(row * width, (row + rows) * width)
            features_AC = self._upscale(one.cells, some, linears)[0]
            blocks = _blocks_by_row(weights_MC @ features_AC.T, (rows, width))
            out_MHW[:, 4 * row : 4 * (row + rows)].view(blocks.shape).copy_(blocks)

    def _mask_weights(self, attended: Attended, wanted: slice) -> Tensor:
        """What the hyper-networks make of the mask tokens: weights of features, (P, M, C / 8)."""
        mlps = list(self.output_hypernetworks_mlps)[wanted]
        tokens_PMC = attended.masks_P4C[:, wanted]
        return torch.stack([mlp(tokens_PMC[:, m]) for m, mlp in enumerate(mlps)], dim=1)

    def _upscale(self, cells: ImageCells, some: slice, linears: UpscalingLinears) -> Tensor:
        """Some cells, each to 4x4 pixels' features (P, 16 L, C / 8), in `_blocks_by_row`'s order.

        A transposed convolution with kernel = stride = 2 is a linear layer on every cell by
        itself; channels stay last and nothing is moved until only the logits are left.
        """
        _, norm, activation, _, last_activation = self.output_upscaling
        x = _split_in_four(cells.projected(*linears.first, some))
        x = activation(cast(LayerNorm2d, norm).channels_last(x))
        features: Tensor = last_activation(_split_in_four(F.linear(x, *linears.second)))
        return features

    def _upscaling_linears(self) -> UpscalingLinears:
        first, _, _, second, _ = self.output_upscaling
        return UpscalingLinears(_as_linear(first), _as_linear(second))


def _as_linear(convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """The linear layer (4 C', C) on every cell that a transposed convolution is."""
    step = cast(nn.ConvTranspose2d, convolution)
    return step.weight.permute(2, 3, 1, 0).flatten(0, 2), cast(Tensor, step.bias).repeat(4)


def _split_in_four(x_PLC: Tensor) -> Tensor:
    """Each cell's 2x2 pixels one after another: (P, L, 4 C') -> (P, 4 L, C')."""
    prompts, cells, channels = x_PLC.shape
    return x_PLC.reshape(prompts, 4 * cells, channels // 4)


def _blocks_by_row(logits_xA: Tensor, hw: tuple[int, int]) -> Tensor:
    """Cell by cell, 2x2 blocks inside 2x2 blocks (..., 16 h w), as a picture's rows lie.

    A view (..., h, 2, 2, w, 2, 2) of which the first three are the picture's 4h rows and the last
    three its 4w columns.
    """
    height, width = hw
    blocks = logits_xA.view(*logits_xA.shape[:-1], height, width, 2, 2, 2, 2)
    return blocks.movedim((-4, -2), (-5, -4))

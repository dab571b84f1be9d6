"""Image embedding and prompt tokens to masks (paper, figure 14: "lightweight mask decoder").

`forward` is all of it at once. Callers that ask many prompts of one image take the steps one by
one: `project_positions` once a model, `prepare` once an image, `attend` once a batch of prompts,
then `predict_iou` from the tokens alone and `draw` for the prompts that are worth it.

Shape suffixes: P prompts, N sources (1 or P), T tokens, M masks, L image cells (h * w),
C channels (256), h and w of the embedding.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.layers import LayerNorm2d, MultiLayerPerceptron
from model.network.transformer import PreparedCells, TransformerPositions, TwoWayTransformer

MASKS_PER_PROMPT = 4
SINGLE_MASK = slice(0, 1)
"""The one mask for prompts that leave no doubt."""
MULTIPLE_MASKS = slice(1, 4)
"""The three masks of an ambiguous prompt: whole, part and subpart, in no fixed order."""


@dataclass(frozen=True)
class DecoderPositions:
    """The position code of a grid of cells, projected: shared by all images."""

    transformer: TransformerPositions
    embedding_hw: tuple[int, int]


@dataclass(frozen=True)
class PreparedImage:
    """One image as the decoder wants it, shared by all of its prompts."""

    cells: PreparedCells
    embedding_hw: tuple[int, int]


@dataclass(frozen=True)
class Attended:
    """A batch of prompts after the transformer: `iou_PC`, `masks_P4C` tokens, `cells_PLC`."""

    iou_PC: Tensor
    masks_P4C: Tensor
    cells_PLC: Tensor
    embedding_hw: tuple[int, int]

    def select(self, keep_P: Tensor) -> "Attended":
        """Only the prompts where the boolean `keep_P` is true."""
        if bool(keep_P.all()):
            return self
        return Attended(
            self.iou_PC[keep_P], self.masks_P4C[keep_P], self.cells_PLC[keep_P], self.embedding_hw
        )


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
    ) -> PreparedImage:
        """Compute what depends on the image and on `dense`, not on points and boxes.

        Without mask prompts `dense` is the same for all, so the result serves every prompt of the
        image; with mask prompts it serves this batch.
        """
        cells_NLC = (embedding + dense).flatten(2).transpose(1, 2).contiguous()
        cells = self.transformer.prepare(cells_NLC, positions.transformer)
        return PreparedImage(cells, positions.embedding_hw)

    def attend(self, prepared: PreparedImage, sparse_PNC: Tensor) -> Attended:
        """Run the transformer over a batch of prompts' sparse tokens (P, N, C)."""
        own_TC = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        own_PTC = own_TC.expand(len(sparse_PNC), -1, -1)
        tokens_PTC, cells_PLC = self.transformer(
            prepared.cells, torch.cat([own_PTC, sparse_PNC], dim=1)
        )
        return Attended(
            iou_PC=tokens_PTC[:, 0],
            masks_P4C=tokens_PTC[:, 1 : 1 + MASKS_PER_PROMPT],
            cells_PLC=cells_PLC,
            embedding_hw=prepared.embedding_hw,
        )

    def predict_iou(self, attended: Attended) -> Tensor:
        """The decoder's own estimate of each mask's IoU, (P, 4): needs no mask to be drawn."""
        iou_P4: Tensor = self.iou_prediction_head(attended.iou_PC)
        return iou_P4

    def draw(self, attended: Attended, wanted: slice) -> Tensor:
        """Logits (P, M, 4h, 4w) of the `wanted` masks of every prompt."""
        mlps = list(self.output_hypernetworks_mlps)[wanted]
        tokens_PMC = attended.masks_P4C[:, wanted]
        weights_PMC = torch.stack([mlp(tokens_PMC[:, m]) for m, mlp in enumerate(mlps)], dim=1)
        features_PAC = self._upscale(attended.cells_PLC)
        logits_PMA = weights_PMC @ features_PAC.transpose(1, 2)
        return _unfold_blocks(logits_PMA, attended.embedding_hw)

    def _upscale(self, cells_PLC: Tensor) -> Tensor:
        """Each cell to 4x4 pixels' features, (P, 16 L, C / 8), in the order of `_unfold_blocks`.

        A transposed convolution with kernel = stride = 2 is a linear layer on every cell by
        itself; channels stay last and nothing is moved until only the logits are left.
        """
        first, norm, activation, second, last_activation = self.output_upscaling
        x = _spread(cells_PLC, cast(nn.ConvTranspose2d, first))
        x = activation(cast(LayerNorm2d, norm).channels_last(x))
        features: Tensor = last_activation(_spread(x, cast(nn.ConvTranspose2d, second)))
        return features


def _spread(x_PLC: Tensor, convolution: nn.ConvTranspose2d) -> Tensor:
    """The transposed convolution as a linear layer: (P, L, C) -> (P, 4 L, C'), cell by cell."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = cast(Tensor, convolution.bias)
    prompts, cells, _ = x_PLC.shape
    return F.linear(x_PLC, weight, bias.repeat(4)).reshape(prompts, 4 * cells, len(bias))


def _unfold_blocks(logits_PMA: Tensor, hw: tuple[int, int]) -> Tensor:
    """From cell by cell, 2x2 blocks inside 2x2 blocks, to a picture (P, M, 4h, 4w)."""
    height, width = hw
    prompts, masks = logits_PMA.shape[:2]
    blocks = logits_PMA.reshape(prompts, masks, height, width, 2, 2, 2, 2)
    rows_then_columns = blocks.permute(0, 1, 2, 4, 6, 3, 5, 7)
    return rows_then_columns.reshape(prompts, masks, 4 * height, 4 * width)

"""Prompts to embeddings (paper, section 3 and appendix A, "Prompt encoder").

Points and boxes become sparse tokens, an earlier mask becomes a dense picture that is added to the
image embedding. All coordinates are pixels of the padded network input, which is 16 times as wide
and high as the embedding.

Shape suffixes: P prompts, K points, N sparse tokens, C channels (256), h and w of the embedding.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from model.network.layers import LayerNorm2d

EMBEDDING_STRIDE = 16
"""Pixels of the network input per cell of the image embedding."""

LABEL_PADDING = -1
"""Point label of a slot that holds no point; 0 is a negative and 1 a positive point."""


class RandomFourierPositions(nn.Module):
    """Positions as sines and cosines of random directions (Tancik et al. 2020)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, frequencies))

    def forward(self, unit_xy: Tensor) -> Tensor:
        """Encode positions (..., 2), scaled to 0..1, as (..., 2 * frequencies)."""
        phase = 2 * math.pi * ((2 * unit_xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Points, boxes and earlier logits to the two inputs that the mask decoder takes."""

    def __init__(self, channels: int = 256, mask_channels: int = 16) -> None:
        super().__init__()
        self.channels = channels
        self.pe_layer = RandomFourierPositions(channels // 2)
        # Negative point, positive point, first box corner, second box corner.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, channels, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def forward(
        self,
        points_xy: Tensor | None,
        point_labels: Tensor | None,
        boxes_xyxy: Tensor | None,
        mask_logits: Tensor | None,
        *,
        embedding_hw: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Encode P prompts of the same make-up.

        Args:
            points_xy: (P, K, 2) in pixels of the network input, or None.
            point_labels: (P, K): 1 positive, 0 negative, -1 no point; goes with `points_xy`.
            boxes_xyxy: (P, 4) in pixels of the network input, or None.
            mask_logits: (P, 1, 4h, 4w), the decoder's logits of an earlier round, or None.
            embedding_hw: height and width of the image embedding.

        Returns:
            Sparse tokens (P, N, C) and the dense embedding: (P, C, h, w) with mask logits, else
            (1, C, h, w) that stands for all prompts.

        Raises:
            ValueError: points without labels, or labels without points.
        """
        if (points_xy is None) != (point_labels is None):
            raise ValueError("points_xy and point_labels go together: got only one of them")
        tokens = []
        if points_xy is not None and point_labels is not None:
            tokens.append(self.embed_points(points_xy, point_labels, embedding_hw))
            if boxes_xyxy is None:
                # SAM was trained with a "not a point" token wherever a box might have stood.
                tokens.append(self.not_a_point_embed.weight.expand(len(points_xy), 1, -1))
        if boxes_xyxy is not None:
            tokens.append(self._embed_boxes(boxes_xyxy, embedding_hw))
        if not tokens:
            count = 1 if mask_logits is None else len(mask_logits)
            tokens.append(self.no_mask_embed.weight.new_zeros(count, 0, self.channels))
        return torch.cat(tokens, dim=1), self._embed_masks(mask_logits, embedding_hw)

    def embed_points(
        self, points_xy: Tensor, point_labels: Tensor, embedding_hw: tuple[int, int]
    ) -> Tensor:
        """Tokens (P, K, C) of points alone, and of box corners that stand among them.

        Args:
            points_xy: (P, K, 2) in pixels of the network input.
            point_labels: (P, K): as in `forward`; 2 and 3 are a box's first and second corner.
            embedding_hw: height and width of the image embedding.
        """
        kinds_5C = torch.cat([self.not_a_point_embed.weight, *self._kinds()])
        kind_PKC = kinds_5C[point_labels.long() - LABEL_PADDING]
        is_point_PK1 = (point_labels != LABEL_PADDING).unsqueeze(-1)
        return kind_PKC + self._encode(points_xy, embedding_hw) * is_point_PK1

    def dense_positions(self, embedding_hw: tuple[int, int]) -> Tensor:
        """Position code of every cell's centre, (1, C, h, w)."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        height, width = embedding_hw
        y_h = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / height
        x_w = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / width
        grid_y, grid_x = torch.meshgrid(y_h, x_w, indexing="ij")
        positions_hwC: Tensor = self.pe_layer(torch.stack([grid_x, grid_y], dim=-1))
        return positions_hwC.permute(2, 0, 1).unsqueeze(0)

    def _kinds(self) -> list[Tensor]:
        return [cast(nn.Embedding, kind).weight for kind in self.point_embeddings]

    def _encode(self, xy: Tensor, embedding_hw: tuple[int, int]) -> Tensor:
        """Position code (..., C) of pixel indices (..., 2): + 0.5 is the pixel's centre."""
        height, width = embedding_hw
        size_xy = xy.new_tensor([width * EMBEDDING_STRIDE, height * EMBEDDING_STRIDE])
        code: Tensor = self.pe_layer((xy + 0.5) / size_xy)
        return code

    def _embed_boxes(self, boxes_P4: Tensor, hw: tuple[int, int]) -> Tensor:
        corner_kinds_2C = torch.cat(self._kinds()[2:])
        return self._encode(boxes_P4.reshape(-1, 2, 2), hw) + corner_kinds_2C

    def _embed_masks(self, mask_logits: Tensor | None, hw: tuple[int, int]) -> Tensor:
        if mask_logits is None:
            return self.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(-1, -1, *hw)
        dense: Tensor = self.mask_downscaling(mask_logits)
        return dense

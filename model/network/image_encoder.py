"""The image encoder of sam_vit_b, l and h: a plain vision transformer (paper, appendix A).

Windowed attention with a few global blocks, decomposed relative positions (Li et al. 2022,
"Exploring plain vision transformer backbones for object detection") and a neck to 256 channels.

Shape suffixes: B images (or windows), H and W in patches (or of a window), L = H * W,
C channels, A attention heads, D channels a head.
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.drop_path import DropPath
from model.network.layers import FeedForward, LayerNorm2d

PATCH_PX = 16
WINDOW = 14
_NORM_EPS = 1e-6


class PatchEmbed(nn.Module):
    """Cuts the picture into patches of 16 x 16 pixels and projects each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=PATCH_PX, stride=PATCH_PX)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """(B, 3, 16 H, 16 W) -> (B, H, W, C)."""
        patches: Tensor = self.proj(image_BCHW)
        return patches.permute(0, 2, 3, 1)


class RelativeAttention(nn.Module):
    """Self-attention over a grid of patches with decomposed relative positions.

    Args:
        channels: width of input and output.
        heads: number of attention heads.
        grid: side of the grid (a window, or the whole picture) that the tables are made for.
    """

    def __init__(self, channels: int, heads: int, grid: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid - 1, channels // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid - 1, channels // heads))

    def forward(self, x_BHWC: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        batch, height, width, channels = x_BHWC.shape
        qkv = self.qkv(x_BHWC).reshape(batch, height * width, 3, self.heads, channels // self.heads)
        q_ABLD, k_ABLD, v_ABLD = qkv.permute(2, 3, 0, 1, 4)
        offsets_h = _offset_table(self.rel_pos_h, height)
        offsets_w = _offset_table(self.rel_pos_w, width)
        # A head at a time: the bias of all heads at once is 0.8 GB for ViT-B's global blocks.
        heads = [
            F.scaled_dot_product_attention(q, k, v, attn_mask=_bias(q, offsets_h, offsets_w))
            for q, k, v in zip(q_ABLD, k_ABLD, v_ABLD, strict=True)
        ]
        out: Tensor = self.proj(torch.cat(heads, dim=-1))
        return out.reshape(x_BHWC.shape)


def _offset_table(table_RD: Tensor, size: int) -> Tensor:
    """Embedding of every query-key distance on one axis, (size, size, D).

    The table holds distances -(s-1)..s-1; for another grid than it was trained on it is
    interpolated.
    """
    length = 2 * size - 1
    if len(table_RD) != length:
        table_RD = F.interpolate(table_RD.T[None], size=length, mode="linear")[0].T
    index = torch.arange(size, device=table_RD.device)
    return table_RD[index[:, None] - index[None, :] + size - 1]


def _bias(q_BLD: Tensor, offsets_h: Tensor, offsets_w: Tensor) -> Tensor:
    """Additive attention bias (B, L, L): the query's affinity to its row and column distance."""
    height, width = len(offsets_h), len(offsets_w)
    q_BHWD = q_BLD.reshape(len(q_BLD), height, width, -1)
    rows = torch.einsum("bhwd,hkd->bhwk", q_BHWD, offsets_h)
    columns = torch.einsum("bhwd,wkd->bhwk", q_BHWD, offsets_w)
    return (rows.unsqueeze(-1) + columns.unsqueeze(-2)).reshape(len(q_BLD), *2 * (height * width,))


class Block(nn.Module):
    """A transformer block; `window` 0 means attention over the whole picture."""

    def __init__(self, channels: int, heads: int, *, window: int, grid: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.attn = RelativeAttention(channels, heads, window or grid)
        self.norm2 = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.mlp = FeedForward(channels, 4 * channels, nn.GELU())
        self.drop_path = DropPath()

    def forward(self, x_BHWC: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        normal_BHWC = self.norm1(x_BHWC)
        mixed_BHWC = self._attend_in_windows(normal_BHWC) if self.window else self.attn(normal_BHWC)
        x_BHWC = x_BHWC + self.drop_path(mixed_BHWC)
        out: Tensor = x_BHWC + self.drop_path(self.mlp(self.norm2(x_BHWC)))
        return out

    def _attend_in_windows(self, x_BHWC: Tensor) -> Tensor:
        """Attention inside windows; the picture is padded with zeros to whole windows."""
        side = self.window
        batch, height, width, channels = x_BHWC.shape
        padded = F.pad(x_BHWC, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = padded.shape[1] // side, padded.shape[2] // side
        tiles = padded.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
        mixed: Tensor = self.attn(tiles.flatten(0, 2))
        whole = mixed.reshape(batch, rows, columns, side, side, channels).transpose(2, 3)
        return whole.reshape(padded.shape)[:, :height, :width]


class ImageEncoderViT(nn.Module):
    """Normalised picture to image embedding.

    Args:
        channels: width of the transformer.
        depth: number of blocks.
        heads: attention heads of a block.
        global_blocks: indices of the blocks that attend over the whole picture.
        input_size: side of the input that the position tables are made for.
        out_channels: width of the embedding.
    """

    def __init__(
        self,
        *,
        channels: int,
        depth: int,
        heads: int,
        global_blocks: Collection[int],
        input_size: int = 1024,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        grid = input_size // PATCH_PX
        self.patch_embed = PatchEmbed(channels)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, channels))
        self.blocks = nn.ModuleList(
            Block(channels, heads, window=0 if index in global_blocks else WINDOW, grid=grid)
            for index in range(depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(channels, out_channels, kernel_size=1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """(B, 3, S, S), normalised and padded -> embedding (B, 256, S / 16, S / 16)."""
        x_BHWC = self.patch_embed(image_BCHW)
        x_BHWC = x_BHWC + self._positions(x_BHWC.shape[1], x_BHWC.shape[2])
        for block in self.blocks:
            x_BHWC = block(x_BHWC)
        embedding: Tensor = self.neck(x_BHWC.permute(0, 3, 1, 2))
        return embedding

    def _positions(self, height: int, width: int) -> Tensor:
        """The absolute position code, interpolated for another size than it was trained on."""
        if self.pos_embed.shape[1:3] == (height, width):
            return self.pos_embed
        resized = F.interpolate(
            self.pos_embed.permute(0, 3, 1, 2), (height, width), mode="bicubic", antialias=False
        )
        return resized.permute(0, 2, 3, 1)

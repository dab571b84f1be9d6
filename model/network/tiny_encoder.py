"""The tiny image encoder: a convolutional pyramid with global attention at stride 32.

Built for CPUs and browsers: 5.6M parameters and about 4 GMAC at 512 px. Dense 3x3 convolutions do
the work at strides 4 and 8, where they give most per millisecond; attention sees the whole picture
at stride 32, where it is nearly free; strides 4 and 8 are folded into the embedding by
pixel-unshuffling, so that edges finer than 16 px survive. There are no absolute positions: any
input whose sides are multiples of 32 will do.

Shape suffixes: B batch, C channels, H W rows and columns, N = H * W tokens, K heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDING_CHANNELS = 256
INPUT_MULTIPLE = 32
STATISTICS_MOMENTUM = 0.02
"""Training batches hold few pictures of very different kinds: average over many of them."""


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, H, W), one position at a time.

    With channels-last memory both permutes are views and the fused kernel of `nn.LayerNorm` runs.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise every position of (B, C, H, W) on its own."""
        return F.layer_norm(
            x_BCHW.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        ).permute(0, 3, 1, 2)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation, which becomes part of the next convolution at inference.

    Norms over one position's channels keep what all positions have in common, and the
    convolutions then learn several times more slowly (measured on outlines: after 30 steps a
    loss of 0.51 against 0.12).
    """
    return nn.BatchNorm2d(channels, momentum=STATISTICS_MOMENTUM)


class ResidualConvs(nn.Module):
    """Two pre-activated 3x3 convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = _batch_norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = _batch_norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        inner = self.conv1(F.relu(self.norm1(x_BCHW)))
        update: Tensor = self.conv2(F.relu(self.norm2(inner)))
        return x_BCHW + update


class WideKernelBlock(nn.Module):
    """A depthwise 5x5 convolution and a per-position MLP beside an identity.

    Where channels are many, this sees wider than a dense 3x3 for half of its time.
    """

    def __init__(self, channels: int, expansion: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm = _batch_norm(channels)
        self.widen = nn.Conv2d(channels, channels * expansion, 1)
        self.narrow = nn.Conv2d(channels * expansion, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        inner = self.widen(self.norm(self.depthwise(x_BCHW)))
        update: Tensor = self.narrow(F.gelu(inner))
        return x_BCHW + update


class GlobalAttentionBlock(nn.Module):
    """Transformer block over all positions.

    A depthwise 3x3 convolution, added first, tells neighbours apart: it takes the place of
    position embeddings and works at any size.
    """

    def __init__(self, channels: int, head_channels: int = 32, expansion: int = 3) -> None:
        super().__init__()
        self.heads = channels // head_channels
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, channels * expansion)
        self.narrow = nn.Linear(channels * expansion, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, channels, height, width = x_BCHW.shape
        x_BCHW = x_BCHW + self.position(x_BCHW)
        x_BNC = x_BCHW.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        x_BNC = x_BNC + self._attend(self.norm1(x_BNC))
        update_BNC: Tensor = self.narrow(F.gelu(self.widen(self.norm2(x_BNC))))
        x_BNC = x_BNC + update_BNC
        return x_BNC.reshape(batch, height, width, channels).permute(0, 3, 1, 2)

    def _attend(self, x_BNC: Tensor) -> Tensor:
        batch, tokens, channels = x_BNC.shape
        qkv = self.qkv(x_BNC).reshape(batch, tokens, 3, self.heads, channels // self.heads)
        q_BKNc, k_BKNc, v_BKNc = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        out_BKNc = F.scaled_dot_product_attention(q_BKNc, k_BKNc, v_BKNc)
        mixed: Tensor = self.proj(out_BKNc.transpose(1, 2).reshape(batch, tokens, channels))
        return mixed


class Neck(nn.Module):
    """Bring strides 4, 8, 16 and 32 together at stride 16 in SAM's 256 channels."""

    def __init__(self, channels: tuple[int, int, int, int], fine_channels: int = 12) -> None:
        super().__init__()
        stride4, stride8, stride16, stride32 = channels
        self.squeeze4 = nn.Conv2d(stride4, fine_channels, 1)
        self.fold4 = nn.Conv2d(fine_channels * 16, EMBEDDING_CHANNELS, 1)
        self.fold8 = nn.Conv2d(stride8 * 4, EMBEDDING_CHANNELS, 1)
        self.lateral16 = nn.Conv2d(stride16, EMBEDDING_CHANNELS, 1)
        self.norm32 = _batch_norm(stride32)
        self.lateral32 = nn.Conv2d(stride32, EMBEDDING_CHANNELS, 1)
        self.norm_in = _batch_norm(EMBEDDING_CHANNELS)
        self.mix = nn.Conv2d(EMBEDDING_CHANNELS, EMBEDDING_CHANNELS, 3, padding=1)
        self.norm_out = ChannelNorm(EMBEDDING_CHANNELS)

    def forward(self, x4: Tensor, x8: Tensor, x16: Tensor, x32: Tensor) -> Tensor:
        """Four maps (B, C_i, H / stride, W / stride) -> (B, 256, H / 16, W / 16)."""
        coarse = self.lateral32(self.norm32(x32))
        coarse = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        fine = self.fold4(F.pixel_unshuffle(self.squeeze4(x4), 4))
        fine = fine + self.fold8(F.pixel_unshuffle(x8, 2))
        merged = self.norm_in(coarse + self.lateral16(x16) + fine)
        embedding: Tensor = self.norm_out(merged + self.mix(F.relu(merged)))
        return embedding


class TinyEncoder(nn.Module):
    """Normalised image (B, 3, S, S) -> embedding (B, 256, S / 16, S / 16).

    Args:
        channels: width at strides 4, 8, 16 and 32.
        depths: blocks at strides 4, 8, 16 and 32.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int] = (48, 96, 192, 288),
        depths: tuple[int, int, int, int] = (1, 1, 2, 4),
    ) -> None:
        super().__init__()
        c4, c8, c16, c32 = channels
        self.stem1 = nn.Conv2d(3, c4 // 2, 3, stride=2, padding=1)
        self.stem_norm = _batch_norm(c4 // 2)
        self.stem2 = nn.Conv2d(c4 // 2, c4, 3, stride=2, padding=1)
        self.stage4 = nn.Sequential(*(ResidualConvs(c4) for _ in range(depths[0])))
        self.down8 = _down(c4, c8)
        self.stage8 = nn.Sequential(*(ResidualConvs(c8) for _ in range(depths[1])))
        self.down16 = _down(c8, c16)
        self.stage16 = nn.Sequential(*(WideKernelBlock(c16) for _ in range(depths[2])))
        self.down32 = _down(c16, c32)
        self.stage32 = nn.Sequential(*(GlobalAttentionBlock(c32) for _ in range(depths[3])))
        self.neck = Neck(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Embed normalised images whose sides are multiples of 32.

        Raises:
            ValueError: a side is not a multiple of 32.
        """
        height, width = x_BCHW.shape[-2:]
        if height % INPUT_MULTIPLE or width % INPUT_MULTIPLE:
            raise ValueError(
                f"the tiny encoder got {height}x{width}; both sides must be multiples of "
                f"{INPUT_MULTIPLE}: pad the image"
            )
        x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        x4 = self.stage4(self.stem2(F.relu(self.stem_norm(self.stem1(x_BCHW)))))
        x8 = self.stage8(self.down8(x4))
        x16 = self.stage16(self.down16(x8))
        x32 = self.stage32(self.down32(x16))
        embedding: Tensor = self.neck(x4, x8, x16, x32)
        return embedding


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    """Normalise, then halve the resolution."""
    return nn.Sequential(
        _batch_norm(channels_in),
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1),
    )

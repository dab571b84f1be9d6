"""Multi-head attention as the mask decoder uses it (Vaswani et al. 2017); narrower inside."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention whose inside may be narrower than its inputs.

    Shape suffixes: P prompts, T tokens, H heads, C channels outside, D channels inside.
    """

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

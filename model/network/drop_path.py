"""Drop path: what a residual branch adds is left out for some pictures while a network trains.

Huang et al. 2016, "Deep networks with stochastic depth". Nothing is stored, and nothing happens at
inference or at rate 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Stands around a residual branch.

    Attributes:
        rate: how often a picture goes without the branch; what stays is scaled up in exchange.
        generator: draws which pictures, on the CPU; None for torch's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0
        self.generator: torch.Generator | None = None

    def forward(self, branch_BHWC: Tensor) -> Tensor:
        """(B, H, W, C) -> the same, 0 for the pictures that go without."""
        if not self.training or not self.rate:
            return branch_BHWC
        stays_B = torch.rand(len(branch_BHWC), generator=self.generator) >= self.rate
        scale_B = stays_B.to(branch_BHWC) / (1 - self.rate)
        return branch_BHWC * scale_B[:, None, None, None]

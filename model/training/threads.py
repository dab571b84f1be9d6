"""How many cores the network may use."""

from __future__ import annotations

import torch


def use_threads(threads: int) -> None:
    """Give torch so many threads; 0 leaves its own choice, all cores."""
    if threads:
        torch.set_num_threads(threads)

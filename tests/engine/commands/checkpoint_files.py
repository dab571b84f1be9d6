"""A checkpoint file of the tiny network with random weights: its answers are nonsense, and real."""

from __future__ import annotations

from pathlib import Path


def random_checkpoint(path: Path) -> Path:
    import torch

    from model.checkpoints import save_checkpoint
    from model.network.architectures import build_sam

    torch.manual_seed(0)
    save_checkpoint(path, build_sam("tiny"))
    return path

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model.checkpoints import save_checkpoint
from model.network.architectures import build_sam
from model.network.sam import Sam


@pytest.fixture(scope="session")
def sam() -> Sam:
    """A tiny network with random weights; copy it before you change it."""
    torch.manual_seed(7)
    return build_sam("tiny").eval()


@pytest.fixture(scope="session")
def saved_bytes(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "tiny.safetensors"
    save_checkpoint(path, sam)
    return path.read_bytes()


@pytest.fixture
def saved(saved_bytes: bytes, tmp_path: Path) -> Path:
    """The tiny network in a file of the test's own."""
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(saved_bytes)
    return path

"""Embeddings of pictures that come again, kept on disk: for training with a frozen image encoder.

A picture's embedding is 16 times smaller than what the encoder needs in memory to make it, and
reading it is 100 times faster: large encoders can be fine-tuned on small machines, decoder only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class EmbeddingCache:
    """Files of embeddings, named by the pixels they were made of.

    Args:
        folder: one network's embeddings only; another network needs another folder.
        encode: pictures (B, S, S, 3) uint8 to embeddings (B, C, h, w).
    """

    def __init__(self, folder: Path, encode: Callable[[NDArray[np.uint8]], Tensor]) -> None:
        self._folder = folder
        self._encode = encode
        folder.mkdir(parents=True, exist_ok=True)

    @torch.no_grad()
    def embed(self, image_BSSC: NDArray[np.uint8]) -> Tensor:
        """Embeddings (B, C, h, w) without gradient; half precision where they come from disk."""
        paths = [self._path(image) for image in image_BSSC]
        missing = [index for index, path in enumerate(paths) if not path.exists()]
        if missing:
            made = self._encode(image_BSSC[missing])
            for index, embedding in zip(missing, made, strict=True):
                _write(paths[index], embedding.half().cpu().numpy())
        return torch.stack([torch.from_numpy(np.load(path)).float() for path in paths])

    def _path(self, image_SSC: NDArray[np.uint8]) -> Path:
        digest = hashlib.blake2b(image_SSC.tobytes(), digest_size=16)
        digest.update(repr(image_SSC.shape).encode())
        return self._folder / f"{digest.hexdigest()}.npy"


def _write(path: Path, embedding: NDArray[np.float16]) -> None:
    """Whole or not at all: a kill must not leave half an embedding to be read later."""
    half_written = path.with_suffix(f".{os.getpid()}.part")
    with half_written.open("wb") as file:
        np.save(file, embedding)
    half_written.replace(path)

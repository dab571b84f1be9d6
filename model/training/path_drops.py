"""Which pictures of a training batch go without which branches of the image encoder (drop path)."""

from __future__ import annotations

import numpy as np
import torch

from model.network.drop_path import DropPath
from model.network.image_encoder import ImageEncoderViT
from model.network.sam import Sam


class PathDrops:
    """Turns drop path on in a ViT, and draws it so that a resumed run drops what it would have.

    The rate rises from 0 at the first block to `rate` at the last, as in ViTDet (Li et al. 2022).

    Args:
        sam: its image encoder is changed in place.
        rate: of the last block.
        seed: of the run.
        rank: of this process, so that each one's pictures go without branches of their own;
            gradients are averaged all the same, which keeps the weights of all alike.

    Raises:
        ValueError: the image encoder is no ViT.
    """

    def __init__(self, sam: Sam, rate: float, *, seed: int, rank: int) -> None:
        encoder = sam.image_encoder
        if not isinstance(encoder, ImageEncoderViT):
            raise ValueError(  # noqa: TRY004 - a setting that does not suit, not a wrong type
                f"session.drop_path is {rate}, and {sam.architecture!r} has no paths to drop as "
                "the ViT encoders have (vit_b, vit_l, vit_h): set it to 0"
            )
        self._seed, self._rank = seed, rank
        self._generator = torch.Generator()
        paths = [module for module in encoder.modules() if isinstance(module, DropPath)]
        for path, own in zip(paths, np.linspace(0, rate, len(paths)).tolist(), strict=True):
            path.rate, path.generator = own, self._generator

    def begin(self, step: int, batch: int) -> None:
        """Draw for a step's batch from here on: seeded by its number, so nothing need be saved."""
        numbers = np.random.SeedSequence([self._seed, step, batch, self._rank])
        self._generator.manual_seed(int(numbers.generate_state(1, np.uint64)[0]))

"""What surfaces look like: plain, gradients, noise, stripes, checks, and patches of real photos.

A texture is (h, w, 3) float32 in 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Texture: TypeAlias = NDArray[np.float32]


class TextureMaker:
    """Draws textures; `photos` are natural patches to cut from, and may be none at all.

    Args:
        photos: RGB photos, at most a few hundred pixels a side.
        photo_share: how often a texture is a natural patch.
    """

    def __init__(self, photos: Sequence[NDArray[np.uint8]], photo_share: float = 0.45) -> None:
        self._photos = photos
        self._photo_share = photo_share if photos else 0.0

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Texture:
        """A texture of its own colours."""
        if rng.random() < self._photo_share:
            return self._patch(height, width, rng)
        base = rng.uniform(0, 255, 3)
        kind = rng.choice(["plain", "gradient", "noise", "stripes", "checks"])
        contrast = rng.uniform(8, 70)
        if kind == "plain":
            field: Texture = np.zeros((height, width), np.float32)
        elif kind == "gradient":
            field = _gradient(height, width, rng)
        elif kind == "noise":
            field = _noise(height, width, rng)
        else:
            field = _waves(height, width, rng, square=kind == "checks")
        tint = rng.normal(size=3) * 0.5 + 1.0
        shaded = base + contrast * field[..., None] * tint
        return np.clip(shaded, 0, 255).astype(np.float32)

    def _patch(self, height: int, width: int, rng: np.random.Generator) -> Texture:
        photo = self._photos[int(rng.integers(len(self._photos)))]
        side = int(rng.integers(24, min(photo.shape[:2]) + 1)) if min(photo.shape[:2]) > 24 else 24
        side_h, side_w = min(side, photo.shape[0]), min(side, photo.shape[1])
        top = int(rng.integers(photo.shape[0] - side_h + 1))
        left = int(rng.integers(photo.shape[1] - side_w + 1))
        patch = cv2.resize(photo[top : top + side_h, left : left + side_w], (width, height))
        shifted = patch * rng.uniform(0.6, 1.3, 3) + rng.uniform(-30, 30, 3)
        return np.clip(shifted, 0, 255).astype(np.float32)


def _gradient(height: int, width: int, rng: np.random.Generator) -> Texture:
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)
    field: Texture = (np.cos(angle) * x[None, :] + np.sin(angle) * y[:, None]).astype(np.float32)
    return field


def _noise(height: int, width: int, rng: np.random.Generator) -> Texture:
    """Value noise of two octaves."""
    field = np.zeros((height, width), np.float32)
    cells = int(rng.integers(3, 24))
    for octave in range(2):
        grid = rng.normal(size=(cells * (octave + 1), cells * (octave + 1))).astype(np.float32)
        field += cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR) / (octave + 1)
    return field


def _waves(height: int, width: int, rng: np.random.Generator, *, square: bool) -> Texture:
    """Stripes of one direction, or the product of two."""
    field = np.ones((height, width), np.float32)
    period = rng.uniform(4, 32)
    angle = rng.uniform(0, np.pi)
    for turn in (0.0, np.pi / 2) if square else (0.0,):
        x = np.arange(width, dtype=np.float32) * (np.cos(angle + turn) * 2 * np.pi / period)
        y = np.arange(height, dtype=np.float32) * (np.sin(angle + turn) * 2 * np.pi / period)
        field *= np.sin(x[None, :] + y[:, None])
    return np.sign(field) if square else field

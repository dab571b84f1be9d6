"""Changes that leave masks true: flips, turns, colour, blur and noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def flip(
    image_HWC: NDArray[np.uint8],
    masks_NHW: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    any_direction: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Mirror half of the pictures; turn them too where up and down mean nothing (cells, leaves)."""
    if rng.random() < 0.5:
        image_HWC, masks_NHW = image_HWC[:, ::-1], masks_NHW[:, :, ::-1]
    if any_direction:
        quarter_turns = int(rng.integers(4))
        image_HWC = np.rot90(image_HWC, quarter_turns)
        masks_NHW = np.rot90(masks_NHW, quarter_turns, axes=(1, 2))
    return np.ascontiguousarray(image_HWC), np.ascontiguousarray(masks_NHW)


def recolour(image_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, contrast, white balance; now and then grey, blurred or noisy."""
    levels = np.arange(256, dtype=np.float32) / 255
    if rng.random() < 0.8:
        gain = rng.uniform(0.75, 1.3) * rng.uniform(0.92, 1.08, 3)
        shift = rng.uniform(-0.1, 0.1)
        curve = levels[:, None] ** rng.uniform(0.75, 1.35) * gain + shift
        table = np.clip(curve * 255, 0, 255).astype(np.uint8)
        image_HWC = np.asarray(cv2.LUT(image_HWC, table[None]), np.uint8)
    if rng.random() < 0.1:
        grey = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY)
        image_HWC = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    if rng.random() < 0.15:
        blurred = cv2.GaussianBlur(image_HWC, (0, 0), rng.uniform(0.3, 1.2))
        image_HWC = np.asarray(blurred, np.uint8)
    if rng.random() < 0.15:
        noise = rng.standard_normal(image_HWC.shape, dtype=np.float32) * rng.uniform(2, 10)
        image_HWC = np.clip(image_HWC + noise, 0, 255).astype(np.uint8)
    return image_HWC

"""Regions of training photos without names: Felzenszwalb's hierarchy, cached on disk.

Most training photos have few annotated objects. Regions of even colour at several scales are
cheap extra targets: parts, stuff and everything that nobody drew (class-agnostic pseudo-masks).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

REGION_SCALES = (80.0, 300.0, 1000.0)
"""Felzenszwalb's `scale` on a photo of `REGION_SIDE_PX`: parts, objects, large areas."""
REGION_SIDE_PX = 320


def region_levels(
    image_HWC: NDArray[np.uint8], scales: Sequence[float] = REGION_SCALES
) -> NDArray[np.uint16]:
    """Segment a photo at several scales.

    Args:
        image_HWC: RGB.
        scales: one level each, from fine to coarse.

    Returns:
        Label maps (levels, h, w), the longest side `REGION_SIDE_PX` at most.
    """
    from skimage.segmentation import felzenszwalb  # an extra: only training and baselines use it

    height, width = image_HWC.shape[:2]
    shrink = min(1.0, REGION_SIDE_PX / max(height, width))
    size_wh = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(image_HWC, size_wh, interpolation=cv2.INTER_AREA)
    levels = [felzenszwalb(small, scale=s, sigma=0.8, min_size=int(20 + s / 8)) for s in scales]
    return np.stack(levels).astype(np.uint16)


def cached_region_levels(
    path: Path, image_HWC: NDArray[np.uint8], cache: Path
) -> NDArray[np.uint16]:
    """`region_levels` of the photo at `path`, computed once and kept under `cache`."""
    name = hashlib.blake2b(str(path.absolute()).encode(), digest_size=12).hexdigest()
    kept = cache / f"regions-{path.parent.parent.name}-{name}.npz"
    if kept.exists():
        with np.load(kept, allow_pickle=False) as file:
            levels: NDArray[np.uint16] = file["levels"]
            return levels
    levels = region_levels(image_HWC)
    cache.mkdir(parents=True, exist_ok=True)
    # A name of its own: several processes may draw the same photo at the same moment.
    half_written = kept.with_name(f".{kept.stem}.{os.getpid()}.part.npz")
    np.savez_compressed(half_written, levels=levels)
    half_written.replace(kept)
    return levels

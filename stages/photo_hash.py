"""Photos that look alike: a perceptual hash, and groups of those that differ in few bits.

The hash is the classic one of low frequencies: 64 signs of a small grey photo's cosine transform,
against their median. Resizing, recompressing and small changes of brightness leave it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SMALL_SIDE_PX: Final = 32
FREQUENCIES: Final = 8
BITS: Final = 64


def perceptual_hash(image_HWC: NDArray[np.uint8]) -> int:
    """64 bits of a photo (H, W, 3) RGB."""
    grey = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SMALL_SIDE_PX, SMALL_SIDE_PX), interpolation=cv2.INTER_AREA)
    low: NDArray[np.float32] = np.asarray(
        cv2.dct(small.astype(np.float32))[:FREQUENCIES, :FREQUENCIES], np.float32
    ).ravel()
    # The first is the mean brightness, which says nothing of what is in the photo.
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def differing_bits(first: int, second: int) -> int:
    """In how many bits two hashes differ."""
    return (first ^ second).bit_count()


def bands(value: int, alike_bits: int) -> list[str]:
    """Keys of which two hashes share at least one if they differ in no more than `alike_bits`."""
    count = alike_bits + 1
    edges = [BITS * band // count for band in range(count + 1)]
    return [
        f"{band}:{(value >> low) & ((1 << (high - low)) - 1):x}"
        for band, (low, high) in enumerate(pairwise(edges))
    ]


def groups_of(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """For every name the group it is in: the smallest name that pairs lead to."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for first, second in pairs:
        if first not in parent or second not in parent:
            continue  # of photos that are left out
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return {name: root(name) for name in parent}

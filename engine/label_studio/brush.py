"""Label Studio's brush masks: its run-length encoding of RGBA pixels, read and written exactly.

A bit stream, the highest bit of each byte first: 32 bits number of words (height x width x 4),
5 bits word size - 1, four times 4 bits size - 1 of a length field, then tokens: 1 bit kind, 2 bits
which length field, length - 1, and one word (a run) or that many words (literals). The words are
pixels row by row, R G B A; the mask is A. Standing in JSON, it is a list with a number a byte.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.label_studio.brush_tokens import (
    CHANNELS,
    HEADER_BITS,
    LENGTH_BITS,
    WORD_BITS,
    alpha_of_tokens,
    checked_bytes,
    read_header,
    read_tokens,
)

LONGEST_RUN: Final = 1 << LENGTH_BITS[-1]
# Strokes drawn by hand have soft edges: at least half covered is inside.
INSIDE_FROM: Final = 128


def encode_brush(mask_HW: NDArray[np.bool_] | NDArray[np.uint8]) -> list[int]:
    """Encodes a mask (H, W); any non-zero value is inside and becomes 255."""
    return encode_brush_patch(mask_HW, (0, 0), mask_HW.shape)


def encode_brush_patch(
    patch_HW: NDArray[np.bool_] | NDArray[np.uint8],
    left_top: tuple[int, int],
    size_hw: tuple[int, ...],
) -> list[int]:
    """Encodes a mask of which only a patch is given, without making the whole mask.

    Args:
        patch_HW: any non-zero value is inside.
        left_top: the patch's place in the mask, in pixels; the patch lies in the mask.
        size_hw: of the mask.
    """
    pixels = size_hw[0] * size_hw[1]
    stops, values = _runs(patch_HW, left_top, size_hw[1], pixels)
    lengths, values = _split_runs(np.diff(stops, prepend=0) * CHANNELS, values)
    fields = np.searchsorted(np.array([1 << bits for bits in LENGTH_BITS]), lengths)
    length_bits = np.array(LENGTH_BITS)[fields]
    token_bits = 1 + 2 + length_bits + WORD_BITS
    tokens = ((4 | fields) << (length_bits + WORD_BITS)) | ((lengths - 1) << WORD_BITS) | values
    numbers = np.concatenate([[pixels * CHANNELS, _header_sizes()], tokens])
    sizes = np.concatenate([[32, HEADER_BITS - 32], token_bits])
    encoded: list[int] = _pack(numbers.astype(np.int64), sizes.astype(np.int64)).tolist()
    return encoded


def decode_brush(rle: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Decodes to a mask (H, W); pixels at least half covered are inside.

    Args:
        rle: a number a byte.
        size_hw: height and width that the mask must have, in pixels.

    Raises:
        ValueError: if the numbers are damaged, or the mask has another size.
    """
    alpha: NDArray[np.bool_] = decode_alpha(rle, size_hw) >= INSIDE_FROM
    return alpha


def decode_alpha(rle: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """How far each pixel is covered, (H, W) uint8; arguments and errors as `decode_brush`."""
    data = checked_bytes(rle)
    height, width = size_hw
    words, length_bits = read_header(data)
    if words != height * width * CHANNELS:
        raise ValueError(
            f"the brush mask has {words / CHANNELS:g} px, expected {width} x {height} = "
            f"{width * height} px"
        )
    tokens = read_tokens(data, words, length_bits)
    return alpha_of_tokens(data, tokens).reshape(height, width)


def _runs(
    patch_HW: NDArray[np.bool_] | NDArray[np.uint8],
    left_top: tuple[int, int],
    mask_w: int,
    pixels: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs end in the whole mask, read row by row, and 0 or 255 for each."""
    (left, top), (patch_h, patch_w) = left_top, patch_HW.shape
    # A column of background keeps a run from going on in the next row of the patch, which is not
    # the next pixel of the mask unless the patch is as wide as the mask.
    row_w = patch_w if patch_w == mask_w else patch_w + 1
    inside = np.zeros(patch_h * row_w + 1, np.bool_)
    inside[:-1].reshape(patch_h, row_w)[:, :patch_w] = patch_HW
    changes = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[0]:
        changes = np.insert(changes, 0, 0)
    row, column = np.divmod(changes, max(row_w, 1))
    stops = (top + row) * mask_w + left + column
    if not len(stops) or stops[-1] != pixels:
        stops = np.append(stops, pixels)
    values = np.arange(len(stops)) % 2 * 255
    is_run = np.diff(stops, prepend=0) > 0  # neither an empty mask nor a first pixel makes one
    return stops[is_run], values[is_run]


def _split_runs(
    words: NDArray[np.int64], values: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs that fit the longest length field."""
    pieces = -(-words // LONGEST_RUN)
    lengths = np.full(int(pieces.sum()), LONGEST_RUN, np.int64)
    lengths[np.cumsum(pieces) - 1] = words - (pieces - 1) * LONGEST_RUN
    return lengths, np.repeat(values, pieces)


def _header_sizes() -> int:
    number = WORD_BITS - 1
    for bits in LENGTH_BITS:
        number = number << 4 | (bits - 1)
    return number


def _pack(numbers: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Numbers of up to 56 bits, one after another, the highest bit first.

    Each is moved to its place in the 8 bytes that it begins in; no two share a bit, so adding up
    what every byte gets puts the stream together.
    """
    ends = np.cumsum(sizes)
    first_byte, bit = np.divmod(ends - sizes, 8)
    placed = numbers.astype(np.uint64) << (64 - bit - sizes).astype(np.uint64)
    packed = np.zeros(int(ends[-1] + 7) // 8 + 7, np.uint8)
    for place, shift in enumerate(range(56, -8, -8)):
        np.add.at(packed, first_byte + place, (placed >> np.uint64(shift)).astype(np.uint8))
    return packed[: (ends[-1] + 7) // 8]

"""Label Studio's brush masks: its run-length encoding of RGBA pixels, read and written exactly.

A bit stream, the highest bit of each byte first: 32 bits number of words (height x width x 4),
5 bits word size - 1, four times 4 bits size - 1 of a length field, then tokens: 1 bit kind, 2 bits
which length field, length - 1, and one word (a run) or that many words (literals). The words are
pixels row by row, R G B A; the mask is A. Standing in JSON, it is a list with a number a byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Json = dict[str, Any]

CHANNELS: Final = 4
WORD_BITS: Final = 8
LENGTH_BITS: Final = (3, 4, 8, 16)
HEADER_BITS: Final = 32 + 5 + 4 * len(LENGTH_BITS)
LONGEST_RUN: Final = 1 << LENGTH_BITS[-1]
BLOCK_BITS: Final = 1 << 16
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


def brush_region(
    region_id: str,
    encoded: Sequence[int],
    size_hw: tuple[int, ...],
    *,
    control: str,
    shown_on: str,
    label: str,
) -> Json:
    """A brush mask as the page reads it and submits it.

    Args:
        region_id: the page keeps it.
        encoded: what `encode_brush` or `encode_brush_patch` gave.
        size_hw: of the photo.
        control: the name of the brush labels in the labelling set-up.
        shown_on: the name of the image there.
        label: of the mask.
    """
    height, width = size_hw
    return {
        "id": region_id,
        "type": "brushlabels",
        "from_name": control,
        "to_name": shown_on,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(encoded), "brushlabels": [label]},
    }


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
    data = _checked_bytes(rle)
    height, width = size_hw
    words, length_bits = _read_header(data)
    if words != height * width * CHANNELS:
        raise ValueError(
            f"the brush mask has {words / CHANNELS:g} px, expected {width} x {height} = "
            f"{width * height} px"
        )
    tokens = _read_tokens(data, words, length_bits)
    return _alpha_of_tokens(data, tokens).reshape(height, width)


@dataclass(frozen=True)
class _Tokens:
    """Tokens of a stream: whether a run, where its first word begins (in bits), words it covers."""

    is_run: NDArray[np.bool_]
    at_bit: NDArray[np.int64]
    words: NDArray[np.int64]

    @property
    def last_bit(self) -> int:
        """Where the last token's words end."""
        words = 1 if self.is_run[-1] else int(self.words[-1])
        return int(self.at_bit[-1]) + WORD_BITS * words


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
    """Numbers of different sizes in bits, one after another, the highest bit first."""
    ends = np.cumsum(sizes)
    bits_left = np.repeat(ends, sizes) - np.arange(ends[-1]) - 1
    return np.packbits((np.repeat(numbers, sizes) >> bits_left & 1).astype(np.uint8))


def _checked_bytes(rle: ArrayLike) -> NDArray[np.uint8]:
    try:
        numbers = np.asarray(rle)
    except ValueError as error:
        raise ValueError(f"the brush mask is not a list of numbers ({error})") from error
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ValueError("the brush mask is not a list of whole numbers")
    if len(numbers) * 8 < HEADER_BITS:
        raise ValueError(f"the brush mask ends after {len(numbers)} bytes, inside its header")
    if numbers.min() < 0 or numbers.max() > 255:
        raise ValueError("the brush mask holds a number that is not a byte")
    return numbers.astype(np.uint8)


def _read_header(data: NDArray[np.uint8]) -> tuple[int, Sequence[int]]:
    """Number of words, and bits of each length field."""
    size = -(-HEADER_BITS // 8)
    header = int.from_bytes(data[:size].tobytes(), "big") >> (size * 8 - HEADER_BITS)
    fields = [(header >> 4 * place & 15) + 1 for place in (3, 2, 1, 0)]
    word_bits = (header >> 16 & 31) + 1
    if word_bits != WORD_BITS:
        raise ValueError(f"the brush mask has words of {word_bits} bits, expected {WORD_BITS}")
    return header >> 21, fields


def _read_tokens(data: NDArray[np.uint8], words: int, length_bits: Sequence[int]) -> _Tokens:
    """Walks the stream block by block, so that memory is bounded whatever the mask's colours."""
    parts: list[_Tokens] = []
    position, covered, end = HEADER_BITS, 0, len(data) * 8
    while covered < words:
        if position >= end:
            raise ValueError(f"the brush mask ends after {covered} of {words} words")
        tokens, position = _tokens_of_block(
            data, position, min(position + BLOCK_BITS, end), length_bits
        )
        reached = covered + np.cumsum(tokens.words)
        needed = int(np.searchsorted(reached, words)) + 1
        tokens = _Tokens(tokens.is_run[:needed], tokens.at_bit[:needed], tokens.words[:needed])
        covered = int(reached[len(tokens.words) - 1])
        parts.append(tokens)
    if covered != words:
        raise ValueError(f"the brush mask's runs cover {covered} words of {words}")
    joined = _joined(parts)
    if words and joined.last_bit > end:
        raise ValueError(f"the brush mask ends after {covered - joined.words[-1]} of {words} words")
    return joined


def _tokens_of_block(
    data: NDArray[np.uint8], first_bit: int, stop_bit: int, length_bits: Sequence[int]
) -> tuple[_Tokens, int]:
    """Tokens that begin in a block of bits, and where the next one begins.

    A token's place depends on all before it. So it is asked of every bit where a token that
    began there would end, and then only these answers are followed one by one.
    """
    at = np.arange(first_bit, stop_bit)
    # The kind, the field's number and the longest field are 19 bits, after up to 7 others.
    window = _windows(data, at)
    is_run = window >> 31 == 1
    bits = np.array(length_bits)[window >> 29 & 3]
    words = ((window << 3 & 0xFFFFFFFF) >> (32 - bits)) + 1
    value_at = at + 3 + bits
    following = value_at + np.where(is_run, WORD_BITS, WORD_BITS * words) - first_bit
    steps = following.tolist()
    here, chain = 0, []
    while here < len(steps):
        chain.append(here)
        here = steps[here]
    return _Tokens(is_run[chain], value_at[chain], words[chain]), first_bit + here


def _windows(data: NDArray[np.uint8], at_bit: NDArray[np.int64]) -> NDArray[np.int64]:
    """The 32 bits from each of these neighbouring places on, zero behind the end."""
    first, last = int(at_bit[0]) >> 3, (int(at_bit[-1]) >> 3) + 1
    near = np.zeros(last - first + 3, np.int64)
    there = data[first : last + 3]
    near[: len(there)] = there
    count = last - first
    whole = near[:count] << 24
    for place, shift in ((1, 16), (2, 8), (3, 0)):
        whole |= near[place : place + count] << shift
    window: NDArray[np.int64] = whole[(at_bit >> 3) - first] << (at_bit & 7) & 0xFFFFFFFF
    return window


def _joined(parts: Sequence[_Tokens]) -> _Tokens:
    empty = _Tokens(np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64))
    every = parts or [empty]
    return _Tokens(
        np.concatenate([part.is_run for part in every]),
        np.concatenate([part.at_bit for part in every]),
        np.concatenate([part.words for part in every]),
    )


def _alpha_of_tokens(data: NDArray[np.uint8], tokens: _Tokens) -> NDArray[np.uint8]:
    """The fourth word of each pixel."""
    ends = np.cumsum(tokens.words)
    starts = ends - tokens.words
    # Pixels whose alpha (word 4 p + 3) lies in the token.
    first_pixel, last_pixel = starts // CHANNELS, ends // CHANNELS
    pixels = last_pixel - first_pixel
    alpha = np.repeat(_words_at(data, tokens.at_bit), pixels)
    literal = ~tokens.is_run & (pixels > 0)
    if literal.any():
        count = pixels[literal]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        pixel = np.repeat(first_pixel[literal], count) + within
        word = pixel * CHANNELS + 3 - np.repeat(starts[literal], count)
        at_bit = np.repeat(tokens.at_bit[literal], count) + word * WORD_BITS
        alpha[pixel] = _words_at(data, at_bit)
    return alpha


def _words_at(data: NDArray[np.uint8], at_bit: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The 8 bits from each place on."""
    first, shift = at_bit >> 3, at_bit & 7
    padded = np.append(data, np.uint8(0)).astype(np.uint16)
    pair = padded[first] << 8 | padded[first + 1]
    words: NDArray[np.uint8] = (pair >> (8 - shift).astype(np.uint16)).astype(np.uint8)
    return words

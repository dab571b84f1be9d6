"""Reading the bit stream of a brush mask: header, tokens, and the alpha words that they cover.

The stream's form stands in `engine.label_studio.brush`; its numbers stand here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

CHANNELS: Final = 4
WORD_BITS: Final = 8
LENGTH_BITS: Final = (3, 4, 8, 16)
HEADER_BITS: Final = 32 + 5 + 4 * len(LENGTH_BITS)
BLOCK_BITS: Final = 1 << 16


@dataclass(frozen=True)
class Tokens:
    """Tokens of a stream: whether a run, where its first word begins (in bits), words it covers."""

    is_run: NDArray[np.bool_]
    at_bit: NDArray[np.int64]
    words: NDArray[np.int64]

    @property
    def last_bit(self) -> int:
        """Where the last token's words end."""
        words = 1 if self.is_run[-1] else int(self.words[-1])
        return int(self.at_bit[-1]) + WORD_BITS * words


def checked_bytes(rle: ArrayLike) -> NDArray[np.uint8]:
    """The stream, of a list with a number a byte.

    Raises:
        ValueError: if it is none, or ends inside its header.
    """
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


def read_header(data: NDArray[np.uint8]) -> tuple[int, Sequence[int]]:
    """Number of words, and bits of each length field.

    Raises:
        ValueError: if words have another size than a channel's.
    """
    size = -(-HEADER_BITS // 8)
    header = int.from_bytes(data[:size].tobytes(), "big") >> (size * 8 - HEADER_BITS)
    fields = [(header >> 4 * place & 15) + 1 for place in (3, 2, 1, 0)]
    word_bits = (header >> 16 & 31) + 1
    if word_bits != WORD_BITS:
        raise ValueError(f"the brush mask has words of {word_bits} bits, expected {WORD_BITS}")
    return header >> 21, fields


def read_tokens(data: NDArray[np.uint8], words: int, length_bits: Sequence[int]) -> Tokens:
    """Walks the stream block by block, so that memory is bounded whatever the mask's colours.

    Args:
        data: the stream with its header.
        words: that it says it has.
        length_bits: of each length field.

    Raises:
        ValueError: if it ends early, or its tokens cover another number of words.
    """
    parts: list[Tokens] = []
    position, covered, end = HEADER_BITS, 0, len(data) * 8
    while covered < words:
        if position >= end:
            raise ValueError(f"the brush mask ends after {covered} of {words} words")
        tokens, position = _tokens_of_block(
            data, position, min(position + BLOCK_BITS, end), length_bits
        )
        reached = covered + np.cumsum(tokens.words)
        needed = int(np.searchsorted(reached, words)) + 1
        tokens = Tokens(tokens.is_run[:needed], tokens.at_bit[:needed], tokens.words[:needed])
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
) -> tuple[Tokens, int]:
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
    return Tokens(is_run[chain], value_at[chain], words[chain]), first_bit + here


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


def _joined(parts: Sequence[Tokens]) -> Tokens:
    empty = Tokens(np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64))
    every = parts or [empty]
    return Tokens(
        np.concatenate([part.is_run for part in every]),
        np.concatenate([part.at_bit for part in every]),
        np.concatenate([part.words for part in every]),
    )


def alpha_of_tokens(data: NDArray[np.uint8], tokens: Tokens) -> NDArray[np.uint8]:
    """The fourth word of each pixel, row by row."""
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

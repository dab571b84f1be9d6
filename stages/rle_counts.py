"""COCO's compressed run lengths, written and read with numpy.

A length is written in groups of five bits, the lowest first, as printable characters; from the
fourth on, as its difference from the length two before. pycocotools does the same one number at
a time; when reading, it makes a copy in a way that numpy deprecates, and believes any text.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FIRST_CHARACTER: Final = 48
_VALUE_BITS: Final = 0x1F
_SIGN_BIT: Final = 0x10
_MORE_BIT: Final = 0x20
_LONGEST_GROUP: Final = 12  # 60 bits: more cannot be a length


def parse_counts(text: str) -> NDArray[np.int64]:
    """Run lengths in pixels, background first.

    Raises:
        ValueError: if the text is no compressed RLE.
    """
    try:
        characters = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64)
    except UnicodeEncodeError as error:
        raise ValueError(f"RLE counts hold a character that is not ASCII: {error}") from error
    if not len(characters):
        raise ValueError("RLE counts are empty")
    groups = characters - _FIRST_CHARACTER
    ends = (groups & _MORE_BIT) == 0
    if groups.min() < 0 or groups.max() > (_VALUE_BITS | _MORE_BIT) or not ends[-1]:
        raise ValueError(f"RLE counts are damaged: {text[:40]!r}")
    differences = _join_groups(groups, ends)
    counts = _undo_differences(differences)
    if counts.min() < 0:
        raise ValueError(f"RLE counts hold a negative length: {text[:40]!r}")
    return counts


def format_counts(counts: NDArray[np.int64]) -> str:
    """Run lengths in pixels, background first, as text: byte for byte what pycocotools writes."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    groups_each = _groups_needed(values)
    starts = np.cumsum(groups_each) - groups_each
    place = np.arange(groups_each.sum()) - np.repeat(starts, groups_each)
    groups = (np.repeat(values, groups_each) >> (5 * place)) & _VALUE_BITS
    groups[place + 1 < np.repeat(groups_each, groups_each)] |= _MORE_BIT
    characters: bytes = (groups + _FIRST_CHARACTER).astype(np.uint8).tobytes()
    return characters.decode("ascii")


def _groups_needed(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many groups of five bits hold each value with its sign."""
    magnitude = np.where(values < 0, ~values, values)
    needed = np.ones(len(values), np.int64)
    limit = _SIGN_BIT
    while (larger := magnitude >= limit).any():
        needed += larger
        limit <<= 5
    return needed


def _join_groups(groups: NDArray[np.int64], ends: NDArray[np.bool_]) -> NDArray[np.int64]:
    starts = np.flatnonzero(np.append(True, ends[:-1]))
    lengths = np.diff(starts, append=len(groups))
    if lengths.max() > _LONGEST_GROUP:
        raise ValueError("RLE counts hold a number that is no length")
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    values = np.add.reduceat((groups & _VALUE_BITS) << (5 * place), starts)
    negative = (groups[ends] & _SIGN_BIT) != 0
    joined: NDArray[np.int64] = np.where(negative, values - (1 << (5 * lengths)), values)
    return joined


def _undo_differences(differences: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = differences.copy()
    for chain in (slice(1, None, 2), slice(2, None, 2)):
        counts[chain] = np.cumsum(differences[chain])
    return counts

"""Ids derived from content, so that every run and every machine gives the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

ID_HEX_DIGITS = 32
DIGEST_HEX_DIGITS = 16


def image_id(source: str, path: str) -> str:
    """32 hex digits naming a photo: its source's name and its path relative to the source.

    The source's name is configuration, not an address, so the same photo keeps its id when the
    folder moves or another round reads it.
    """
    return _blake2b_hex([source.encode(), b"\0", path.encode()], ID_HEX_DIGITS)


def mask_id(
    image: str,
    size_hw: tuple[int, int],
    counts: str,
    *,
    origin: str,
    maker: str,
    derived_from: str | None = None,
) -> str:
    """32 hex digits naming a mask.

    Args:
        image: the image's id.
        size_hw: height and width of the mask in pixels.
        counts: COCO compressed RLE.
        origin: one of `records.ORIGINS`.
        maker: the model's id, or the annotator where no model helped.
        derived_from: the mask that this one corrects.
    """
    fields = [image, f"{size_hw[0]}x{size_hw[1]}", counts, origin, maker, derived_from or ""]
    return _blake2b_hex(["\0".join(fields).encode()], ID_HEX_DIGITS)


def digest(text: str) -> str:
    """16 hex digits of a canonical text (a configuration as sorted JSON)."""
    return _blake2b_hex([text.encode()], DIGEST_HEX_DIGITS)


def _blake2b_hex(parts: Iterable[bytes], hex_digits: int) -> str:
    state = hashlib.blake2b()
    for part in parts:
        state.update(part)
    return state.hexdigest()[:hex_digits]

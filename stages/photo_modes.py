"""Every colour mode that Pillow knows, to 8-bit RGB."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WITH_ALPHA: Final = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_BACKGROUND_RGB: Final = (255, 255, 255)


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in 8-bit RGB.

    Transparent parts lie on white, as a browser shows them. Grey with more than 8 bits is scaled
    to 8 (`scale_to_8_bits`). CMYK is converted without its colour profile; other profiles are
    ignored, as SAM's own preprocessing does.

    Raises:
        ValueError: if Pillow cannot convert the mode (LAB).
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return _from_grey(scale_to_8_bits(np.asarray(image)))
    if image.mode in ("I", "F"):
        return _from_grey(_stretch_to_8_bits(np.asarray(image)))
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _on_background(image.convert("RGBA"))
    return image.convert("RGB")


def scale_to_8_bits(values: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """Scales by the bit depth that the values use, 8 at least.

    16-bit files often carry 10, 12 or 14 bits (microscopes, cameras); dividing by 257 would make
    those nearly black. A photo that uses the whole range is divided by 257.
    """
    bits = max(8, int(values.max(initial=0)).bit_length())
    scaled: NDArray[np.float32] = values.astype(np.float32) * (255 / (2**bits - 1))
    return np.rint(scaled).astype(np.uint8)


def _stretch_to_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """From the lowest to the highest finite value: 32-bit files agree on no other range."""
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(numbers[finite].min()), float(numbers[finite].max())
    numbers = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
    return np.rint((numbers - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)


def _from_grey(grey_HW: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(grey_HW).convert("RGB")


def _on_background(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", image.size, _BACKGROUND_RGB)
    canvas.paste(image, mask=image.getchannel("A"))
    return canvas

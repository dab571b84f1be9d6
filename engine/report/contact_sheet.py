"""The gallery as one picture: for a README, a chat, a terminal that shows images. Pillow only."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.report.thumbnails import mask_thumbnail, photo_thumbnail
from stages.photos import PhotoLimits
from stages.records import ImageRow

GAP_PX: Final = 8
GROUND: Final = (255, 255, 255)
STRENGTH: Final = 0.45
GOLDEN_ANGLE: Final = 137.508 / 360


def contact_sheet(
    rows: Sequence[ImageRow], limits: PhotoLimits, *, width_px: int = 1600, columns: int = 4
) -> Image.Image:
    """Photos with their masks in rows of equal height, like bricks of different lengths.

    Args:
        rows: readable photos, in the order shown.
        limits: for reading the photos.
        width_px: of the picture.
        columns: photos a row of the picture, about.
    """
    height = width_px // columns * 3 // 4
    tiles = [overlay(row, limits, longest=2 * height) for row in rows]
    lines = _justified([_fitted(tile, height) for tile in tiles], width_px)
    total = sum(line[0].height for line in lines) + GAP_PX * max(0, len(lines) - 1)
    sheet = Image.new("RGB", (width_px, max(1, total)), GROUND)
    top = 0
    for line in lines:
        left = 0
        for tile in line:
            sheet.paste(tile, (left, top))
            left += tile.width + GAP_PX
        top += line[0].height + GAP_PX
    return sheet


def overlay(row: ImageRow, limits: PhotoLimits, *, longest: int) -> Image.Image:
    """One photo with its masks in colours, small masks above large ones."""
    thumbnail = photo_thumbnail(row, longest, limits)
    labels = np.full(thumbnail.size_hw, -1, np.int32)
    by_size = sorted(enumerate(row.masks), key=lambda item: (-item[1].area, item[0]))
    for label, mask in by_size:
        small = mask_thumbnail(mask, thumbnail.size_hw)
        labels[small.window][small.inside_HW] = label
    return Image.fromarray(_coloured(thumbnail.pixels_HWC, labels))


def mask_colour(index: int) -> tuple[int, int, int]:
    """The colour of a mask: hues a golden angle apart, as in the page."""
    hue = (index * GOLDEN_ANGLE + 205 / 360) % 1
    red, green, blue = colorsys.hls_to_rgb(hue, (0.6, 0.53, 0.67)[index % 3], 0.86)
    return round(red * 255), round(green * 255), round(blue * 255)


def _coloured(pixels_HWC: NDArray[np.uint8], labels_HW: NDArray[np.int32]) -> NDArray[np.uint8]:
    palette = np.array([mask_colour(i) for i in range(int(labels_HW.max()) + 1)] or [GROUND])
    colours = palette[np.maximum(labels_HW, 0)]
    strength = np.where(labels_HW >= 0, STRENGTH, 0.0)
    edge = _edges(labels_HW) & (labels_HW >= 0)
    colours = np.where(edge[..., None], colours * 0.55 + 115, colours)
    strength = np.where(edge, 0.95, strength)[..., None]
    mixed = np.round(pixels_HWC * (1 - strength) + colours * strength)
    return np.asarray(mixed, dtype=np.uint8)


def _edges(labels_HW: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels with a neighbour of another label, above, below, left or right."""
    edge = np.zeros(labels_HW.shape, np.bool_)
    across = labels_HW[:, 1:] != labels_HW[:, :-1]
    down = labels_HW[1:] != labels_HW[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _fitted(tile: Image.Image, height: int) -> Image.Image:
    width = max(1, round(tile.width * height / tile.height))
    return tile.resize((width, height), Image.Resampling.LANCZOS)


def _justified(tiles: Sequence[Image.Image], width_px: int) -> list[list[Image.Image]]:
    """Breaks tiles of one height into lines and scales each line to the full width."""
    total = sum(tile.width + GAP_PX for tile in tiles)
    target = total / max(1, math.ceil(total / width_px - 0.25))
    lines: list[list[Image.Image]] = []
    used = 0.0
    for tile in tiles:
        line = int((used + tile.width / 2) // target)
        while len(lines) <= line:
            lines.append([])
        lines[line].append(tile)
        used += tile.width + GAP_PX
    return [_stretched(line, width_px) for line in lines if line]


def _stretched(line: list[Image.Image], width_px: int) -> list[Image.Image]:
    gaps = GAP_PX * (len(line) - 1)
    scale = min((width_px - gaps) / sum(tile.width for tile in line), 1.6)
    height = max(1, round(line[0].height * scale))
    return [_fitted(tile, height) for tile in line]

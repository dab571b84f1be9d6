"""Whole scenes: things laid over each other, parts on things, crowds, light, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.procedural.shapes import draw_shape, random_kind
from engine.training.procedural.textures import Texture, TextureMaker
from engine.training.scene import Scene, drop_useless_masks

LAYOUTS = ("mixed", "crowd", "single", "grid")
LAYOUT_WEIGHTS = (0.55, 0.22, 0.15, 0.08)

MIN_VISIBLE_SHARE = 0.12
"""A thing of which less than this is left uncovered is no target."""


@dataclass(frozen=True)
class _Placement:
    kind: str
    centre_xy: tuple[float, float]
    half_size_px: float


class ProceduralScenes:
    """A `SceneSource` without photos of its own: everything is drawn, every mask exact."""

    def __init__(self, textures: TextureMaker) -> None:
        self._textures = textures

    def draw(self, side_px: int, rng: np.random.Generator) -> Scene:
        """Draw a scene of `side_px`."""
        layout = str(rng.choice(LAYOUTS, p=LAYOUT_WEIGHTS))
        canvas = _Canvas(self._textures.draw(side_px, side_px, rng))
        alike = self._alike_texture(layout, rng)
        for placement in _place(layout, side_px, rng):
            self._add_thing(canvas, placement, rng, alike, with_parts=layout != "crowd")
        image = _photograph(canvas.pixels, rng)
        masks = canvas.masks()
        masks, weights = drop_useless_masks(masks, np.ones(len(masks)))
        return Scene(image, masks, weights, exhaustive=True)

    def _alike_texture(self, layout: str, rng: np.random.Generator) -> Texture | None:
        """Things of a crowd look alike: they share one texture."""
        if layout == "crowd" or (layout == "grid" and rng.random() < 0.5):
            return self._textures.draw(96, 96, rng)
        return None

    def _add_thing(
        self,
        canvas: _Canvas,
        placement: _Placement,
        rng: np.random.Generator,
        alike: Texture | None,
        *,
        with_parts: bool,
    ) -> None:
        side_px = canvas.side_px
        mask = draw_shape(placement.kind, placement.centre_xy, placement.half_size_px, side_px, rng)
        thing = canvas.paint(mask, self._surface(alike), None, rng)
        if thing is None or not with_parts or placement.half_size_px < 14 or rng.random() > 0.4:
            return
        for _ in range(int(rng.integers(1, 4))):
            offset = rng.uniform(-0.6, 0.6, 2) * placement.half_size_px
            centre = (placement.centre_xy[0] + offset[0], placement.centre_xy[1] + offset[1])
            half = placement.half_size_px * rng.uniform(0.15, 0.5)
            part = draw_shape(random_kind(rng), centre, half, side_px, rng) & mask
            canvas.paint(part, self._surface(None), thing, rng)

    def _surface(self, alike: Texture | None) -> _Surface:
        return _Surface(self._textures, alike)


@dataclass(frozen=True)
class _Surface:
    """Makes the texture for one thing's bounding box."""

    textures: TextureMaker
    alike: Texture | None

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Texture:
        if self.alike is None:
            return self.textures.draw(height, width, rng)
        resized = cv2.resize(self.alike, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized * rng.uniform(0.85, 1.15), np.float32)


class _Canvas:
    """Pixels, and for each of them the thing that is on top."""

    def __init__(self, background: Texture) -> None:
        self.pixels = background
        self.side_px = background.shape[0]
        self._owner = np.full(background.shape[:2], -1, np.int16)
        self._parents: list[int | None] = []
        self._areas: list[int] = []

    def paint(
        self,
        mask: NDArray[np.uint8],
        surface: _Surface,
        parent: int | None,
        rng: np.random.Generator,
    ) -> int | None:
        """Lay a thing on top; returns its number, or None if nothing of it is in the picture."""
        left, top, width, height = cv2.boundingRect(mask)
        if width < 2 or height < 2:
            return None
        box = np.s_[top : top + height, left : left + width]
        inside = mask[box]
        if parent is None and rng.random() < 0.25:
            self._cast_shadow(mask, rng)
        texture = _shade(surface.draw(height, width, rng), inside, rng)
        alpha = cv2.blur(inside.astype(np.float32), (3, 3))[..., None]
        alpha = np.where(inside[..., None] > 0, np.maximum(alpha, 0.5), np.minimum(alpha, 0.45))
        self.pixels[box] += alpha * (texture - self.pixels[box])
        number = len(self._parents)
        self._owner[box][inside > 0] = number
        self._parents.append(parent)
        self._areas.append(int(np.count_nonzero(inside)))
        return number

    def masks(self) -> NDArray[np.uint8]:
        """What is visible of every thing with its parts, (N, S, S); hidden things left out."""
        visible = []
        for number, area in enumerate(self._areas):
            family = [number, *(n for n, p in enumerate(self._parents) if p == number)]
            mask = np.isin(self._owner, family) if len(family) > 1 else self._owner == number
            if np.count_nonzero(mask) >= MIN_VISIBLE_SHARE * area:
                visible.append(mask)
        if not visible:
            return np.zeros((0, self.side_px, self.side_px), np.uint8)
        return np.stack(visible).astype(np.uint8)

    def _cast_shadow(self, mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
        shift = np.array([[1, 0, rng.uniform(-8, 8)], [0, 1, rng.uniform(2, 9)]])
        moved = cv2.warpAffine(mask, shift, (self.side_px, self.side_px))
        dark = cv2.blur(moved.astype(np.float32), (9, 9)) * rng.uniform(0.2, 0.6)
        self.pixels *= 1 - dark[..., None]


def _place(layout: str, side_px: int, rng: np.random.Generator) -> list[_Placement]:
    """Where things go and how big; sizes are shares of the side, so any side works."""
    if layout == "crowd":
        kind = str(rng.choice(["blob", "ellipse", "polygon", "box"], p=[0.4, 0.4, 0.1, 0.1]))
        half = side_px * float(np.exp(rng.uniform(np.log(0.02), np.log(0.1))))
        roomy = round(0.5 / (2 * half / side_px) ** 2 + 3)
        count = min(int(rng.integers(6, 40)), roomy)
        return [
            _Placement(kind, _anywhere(side_px, rng), half * rng.uniform(0.75, 1.3))
            for _ in range(count)
        ]
    if layout == "single":
        centre = side_px * rng.uniform(0.35, 0.65, 2)
        big = _Placement(random_kind(rng), tuple(centre), side_px * rng.uniform(0.2, 0.42))
        clutter = [_random_placement(side_px, rng, 0.03, 0.12) for _ in range(rng.integers(0, 5))]
        return [*clutter, big]
    if layout == "grid":
        return _grid(side_px, rng)
    count = int(rng.integers(3, 15))
    return [_random_placement(side_px, rng, 0.025, 0.32) for _ in range(count)]


def _grid(side_px: int, rng: np.random.Generator) -> list[_Placement]:
    """Rows of things: shelves, windows, keys."""
    rows, columns = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    step = side_px / max(rows, columns)
    kind = random_kind(rng)
    half = step * rng.uniform(0.25, 0.46)
    return [
        _Placement(kind, ((column + 0.5) * step, (row + 0.5) * step), half)
        for row in range(rows)
        for column in range(columns)
    ]


def _random_placement(
    side_px: int, rng: np.random.Generator, smallest: float, largest: float
) -> _Placement:
    share = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    return _Placement(random_kind(rng), _anywhere(side_px, rng), side_px * share)


def _anywhere(side_px: int, rng: np.random.Generator) -> tuple[float, float]:
    x, y = rng.uniform(-0.02, 1.02, 2) * side_px
    return float(x), float(y)


def _shade(texture: Texture, inside: NDArray[np.uint8], rng: np.random.Generator) -> Texture:
    """Round the thing off, light it from a side, or leave it flat."""
    style = rng.random()
    if style < 0.35:
        return texture
    height, width = inside.shape
    if style < 0.7:
        depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        rounded = np.sqrt(depth / max(float(depth.max()), 1e-6))
        light = 1 + rng.uniform(-0.45, 0.45) * (rounded - 0.5)
    else:
        x = np.linspace(-1, 1, width)[None, :] * rng.normal()
        y = np.linspace(-1, 1, height)[:, None] * rng.normal()
        light = 1 + 0.3 * (x + y) / (abs(x).max() + abs(y).max() + 1e-6)
    return np.asarray(np.clip(texture * light[..., None], 0, 255), np.float32)


def _photograph(pixels: Texture, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Uneven light, lens blur and sensor noise."""
    side_px = pixels.shape[0]
    if rng.random() < 0.4:
        corners = rng.uniform(0.6, 1.2, (2, 2)).astype(np.float32)
        light = cv2.resize(corners, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
        pixels = np.asarray(pixels * light[..., None], np.float32)
    if rng.random() < 0.5:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.6)), np.float32)
    if rng.random() < 0.6:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        pixels = pixels + noise * rng.uniform(1, 14)
    return np.clip(pixels, 0, 255).astype(np.uint8)

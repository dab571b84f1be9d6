"""Outlines of things: blobs, polygons, ellipses, stars, strokes and letters, as filled masks.

Lengths are pixels of the picture; outlines are made in units of the shape's half size.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPE_KINDS = ("blob", "polygon", "ellipse", "box", "star", "stroke", "letter")
SHAPE_WEIGHTS = (0.34, 0.16, 0.16, 0.12, 0.06, 0.10, 0.06)

# cv2 draws with sub-pixel precision when coordinates carry this many fractional bits.
_SHIFT = 4
_SUBPIXEL = 1 << _SHIFT


def random_kind(rng: np.random.Generator) -> str:
    """A kind of shape, by `SHAPE_WEIGHTS`."""
    return str(rng.choice(SHAPE_KINDS, p=SHAPE_WEIGHTS))


def draw_shape(
    kind: str,
    centre_xy: tuple[float, float],
    half_size_px: float,
    side_px: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """A filled shape as 0 / 1 in a square picture; parts outside are cut off."""
    mask = np.zeros((side_px, side_px), np.uint8)
    if kind == "stroke":
        _draw_stroke(mask, centre_xy, half_size_px, rng)
    elif kind == "letter":
        _draw_letter(mask, centre_xy, half_size_px, rng)
    else:
        points = outline(kind, rng) * half_size_px + np.asarray(centre_xy)
        _fill(mask, points)
    return mask


def outline(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (N, 2) of a closed outline around 0, most of it within a distance of 1."""
    if kind == "blob":
        points = _blob(rng)
    elif kind == "polygon":
        points = _polygon(rng)
    elif kind == "ellipse":
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif kind == "box":
        points = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * 0.85
    elif kind == "star":
        points = _star(rng)
    else:
        raise ValueError(f"unknown kind of shape {kind!r}: expected one of {SHAPE_KINDS}")
    return _turn(points * [1.0, rng.uniform(0.3, 1.0)], rng.uniform(0, 2 * np.pi))


def _blob(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    radius = np.ones_like(angle)
    roughness = rng.uniform(0.05, 0.5)
    for harmonic in range(2, 8):
        amplitude = roughness * rng.normal() / harmonic
        radius += amplitude * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.15, 1.6)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _polygon(rng: np.random.Generator) -> NDArray[np.float64]:
    corners = int(rng.integers(3, 9))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.5, 1.1, corners)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _star(rng: np.random.Generator) -> NDArray[np.float64]:
    tips = int(rng.integers(4, 10))
    angle = np.linspace(0, 2 * np.pi, 2 * tips, endpoint=False)
    radius = np.where(np.arange(2 * tips) % 2, rng.uniform(0.3, 0.7), 1.0)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _turn(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    turned: NDArray[np.float64] = points @ np.array([[cos, sin], [-sin, cos]])
    return turned


def _fill(mask: NDArray[np.uint8], points: NDArray[np.float64]) -> None:
    fixed = np.round(points * _SUBPIXEL).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 1, cv2.LINE_8, _SHIFT)


def _draw_stroke(
    mask: NDArray[np.uint8],
    centre_xy: tuple[float, float],
    half_size_px: float,
    rng: np.random.Generator,
) -> None:
    """A bent line: ropes, branches, legs, cracks."""
    knots = rng.normal(size=(4, 2)) * 0.6
    t = np.linspace(0, 1, 24)[:, None]
    bend = (
        (1 - t) ** 3 * knots[0]
        + 3 * (1 - t) ** 2 * t * knots[1]
        + 3 * (1 - t) * t**2 * knots[2]
        + t**3 * knots[3]
    )
    points = np.round((bend * half_size_px * 1.5 + np.asarray(centre_xy)) * _SUBPIXEL)
    thickness = max(2, round(half_size_px * rng.uniform(0.06, 0.3)))
    cv2.polylines(mask, [points.astype(np.int32)], False, 1, thickness, cv2.LINE_8, _SHIFT)


def _draw_letter(
    mask: NDArray[np.uint8],
    centre_xy: tuple[float, float],
    half_size_px: float,
    rng: np.random.Generator,
) -> None:
    character = str(rng.choice(list("ABCDEFGHKLMNOPRSTUVXYZ0235689&")))
    scale = half_size_px / 11
    origin = (round(centre_xy[0] - half_size_px), round(centre_xy[1] + half_size_px))
    thickness = max(2, round(half_size_px * rng.uniform(0.12, 0.35)))
    cv2.putText(mask, character, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 1, thickness)

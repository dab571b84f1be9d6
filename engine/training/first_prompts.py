"""From a scene to a training example: choose masks, and the first click and box for each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.scene import Scene
from model.clicks import innermost_point, random_point
from model.training.examples import TrainingExample

BOX_JITTER_SHARE = 0.1
BOX_JITTER_LIMIT_PX = 20.0
"""Paper, appendix A: noise of 10 % of the box's side, at most 20 px."""

EDGE_UNKNOWN = 255


def make_example(
    scene: Scene,
    masks: int,
    rng: np.random.Generator,
    *,
    innermost_share: float = 0.5,
    nothing_share: float = 0.05,
) -> TrainingExample:
    """Ask for `masks` masks of a scene; few masks are asked for repeatedly, with other clicks.

    Args:
        scene: at least one mask.
        masks: how many to ask for.
        rng: all randomness.
        innermost_share: how many first clicks go to the innermost point, as in evaluation; the
            others fall anywhere on the mask, as in the paper.
        nothing_share: how many clicks go beside every object, in exhaustive scenes only.

    Raises:
        ValueError: the scene has no mask.
    """
    if not len(scene.masks_NSS):
        raise ValueError("a scene without masks makes no example: draw another")
    free_SS = np.asarray(scene.masks_NSS.max(axis=0) == 0)
    if scene.content_hw is not None:  # nobody clicks on padding
        height, width = scene.content_hw
        free_SS[height:] = free_SS[:, width:] = False
    chosen = _choose(scene, masks, rng)
    side_px = scene.image_SSC.shape[0]
    masks_MSS = np.zeros((masks, side_px, side_px), bool)
    points_M2 = np.zeros((masks, 2), np.float32)
    boxes_M4 = np.zeros((masks, 4), np.float32)
    is_object_M = np.ones(masks, bool)
    for slot, index in enumerate(chosen):
        if scene.exhaustive and rng.random() < nothing_share and free_SS.any():
            points_M2[slot] = random_point(free_SS, rng)
            boxes_M4[slot] = _box_around_point(points_M2[slot], side_px, rng)
            is_object_M[slot] = False
            continue
        mask_SS = scene.masks_NSS[index].astype(bool)
        masks_MSS[slot] = mask_SS
        is_centred = rng.random() < innermost_share
        points_M2[slot] = innermost_point(mask_SS) if is_centred else random_point(mask_SS, rng)
        boxes_M4[slot] = jittered_box(scene.masks_NSS[index], rng)
    return TrainingExample(
        scene.image_SSC, masks_MSS, points_M2, boxes_M4, is_object_M, outline_map(scene)
    )


def jittered_box(mask_SS: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """The mask's box (left, top, right, bottom) with the paper's noise, inside the picture."""
    left, top, width, height = cv2.boundingRect(mask_SS)
    box = np.array([left, top, left + width - 1, top + height - 1], float)
    spread = np.minimum(BOX_JITTER_SHARE * np.array([width, height] * 2), BOX_JITTER_LIMIT_PX)
    box += np.clip(rng.normal(size=4) * spread, -BOX_JITTER_LIMIT_PX, BOX_JITTER_LIMIT_PX)
    limit = max(mask_SS.shape) - 1
    x = np.sort(np.clip(box[[0, 2]], 0, limit))
    y = np.sort(np.clip(box[[1, 3]], 0, limit))
    return np.array([x[0], y[0], x[1], y[1]], np.float32)


def outline_map(scene: Scene) -> NDArray[np.uint8]:
    """Where outlines are: 1 on them, 0 where surely none is, 255 where nobody said."""
    side_px = scene.image_SSC.shape[0]
    edges_SS = np.zeros((side_px, side_px), np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    for mask_SS in scene.masks_NSS[scene.weights_N >= 0.5]:
        left, top, width, height = cv2.boundingRect(mask_SS)
        box = np.s_[max(top - 2, 0) : top + height + 2, max(left - 2, 0) : left + width + 2]
        outline = cv2.morphologyEx(mask_SS[box], cv2.MORPH_GRADIENT, kernel)
        edges_SS[box] |= np.asarray(outline, np.uint8)
    if not scene.exhaustive:
        near = cv2.dilate(edges_SS, np.ones((13, 13), np.uint8))
        edges_SS[near == 0] = EDGE_UNKNOWN
    return edges_SS


def _choose(scene: Scene, masks: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Without repetition as far as the scene goes, then again."""
    share = scene.weights_N / scene.weights_N.sum()
    available = int(np.count_nonzero(share))
    first = rng.choice(len(share), min(masks, available), replace=False, p=share)
    again = rng.choice(len(share), masks - len(first), p=share)
    return np.concatenate([first, again])


def _box_around_point(
    point_xy: NDArray[np.float32], side_px: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    half = rng.uniform(0.03, 0.15, 2) * side_px
    corners = np.concatenate([point_xy - half, point_xy + half])
    return np.clip(corners, 0, side_px - 1).astype(np.float32)

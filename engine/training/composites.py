"""Copy-paste: things cut out of training photos, laid over views of others, with exact masks.

After Ghiasi et al. 2021, "Simple copy-paste is a strong data augmentation method".
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.annotated import AnnotatedPhoto
from engine.training.augment import recolour
from engine.training.scene import Scene, SceneSource, drop_useless_masks, padded

CUT_OUT_SIDE_PX = 448
MIN_CUT_OUT_AREA_PX = 900
MIN_VISIBLE_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class CutOut:
    """A thing and its outline: `image_HWC` RGB, `mask_HW` of 0 and 1."""

    image_HWC: NDArray[np.uint8]
    mask_HW: NDArray[np.uint8]


def collect_cut_outs(photos: list[AnnotatedPhoto], most_per_photo: int = 6) -> list[CutOut]:
    """Cut the largest things out of every photo, shrunk to `CUT_OUT_SIDE_PX`."""
    found = []
    for photo in photos:
        order = np.argsort(-photo.boxes_xywh[:, 2] * photo.boxes_xywh[:, 3])[:most_per_photo]
        image = photo.read_image()
        for mask in photo.read_masks(order.tolist()):
            cut_out = _cut_out(image, mask)
            if cut_out is not None:
                found.append(cut_out)
    return found


class Composites:
    """A `SceneSource` that lays cut-outs over another source's scenes.

    Args:
        backgrounds: scenes to lay things on; their masks stay where they are not covered.
        cut_outs: at least one.
        single_share: how many scenes get one large thing in the middle and nothing else.
    """

    def __init__(
        self, backgrounds: SceneSource, cut_outs: list[CutOut], single_share: float = 0.3
    ) -> None:
        if not cut_outs:
            raise ValueError("no cut-outs to lay over photos: their annotations are too small")
        self._backgrounds = backgrounds
        self._cut_outs = cut_outs
        self._single_share = single_share

    def draw(self, side_px: int, rng: np.random.Generator) -> Scene:
        """A background with things on it, the later ones in front."""
        background = self._backgrounds.draw(side_px, rng)
        height, width = background.content_hw or (side_px, side_px)
        # Things lie on the photo, not on its padding, which stays as it is.
        image = background.image_SSC[:height, :width].copy()
        masks = list(background.masks_NSS[:, :height, :width])
        weights = list(background.weights_N * 0.7)
        is_single = rng.random() < self._single_share
        for _ in range(1 if is_single else int(rng.integers(2, 8))):
            half = _half_size(side_px, is_single, rng)
            place_xy = rng.uniform(0.35, 0.65, 2) if is_single else rng.uniform(0, 1, 2)
            centre_xy = np.array([width, height]) * place_xy
            cut_out = self._cut_outs[int(rng.integers(len(self._cut_outs)))]
            pasted = _paste(image, cut_out, centre_xy, half, rng)
            if pasted.any():
                masks = [np.where(pasted, np.uint8(0), mask) for mask in masks] + [pasted]
                weights.append(1.0)
        stacked = np.stack(masks) if masks else np.zeros((0, height, width), np.uint8)
        kept, kept_weights = drop_useless_masks(stacked, np.array(weights))
        return padded(recolour(image, rng), kept, kept_weights, exhaustive=False, side_px=side_px)


def _cut_out(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> CutOut | None:
    left, top, width, height = cv2.boundingRect(mask)
    if np.count_nonzero(mask) < MIN_CUT_OUT_AREA_PX:
        return None
    box = np.s_[top : top + height, left : left + width]
    shrink = min(1.0, CUT_OUT_SIDE_PX / max(width, height))
    size_wh = (max(2, round(width * shrink)), max(2, round(height * shrink)))
    small = cv2.resize(image[box], size_wh, interpolation=cv2.INTER_AREA)
    outline = cv2.resize(mask[box] * 255, size_wh, interpolation=cv2.INTER_AREA)
    return CutOut(np.asarray(small, np.uint8), (outline > 127).astype(np.uint8))


def _half_size(side_px: int, is_single: bool, rng: np.random.Generator) -> float:
    smallest, largest = (0.2, 0.48) if is_single else (0.04, 0.33)
    return side_px * float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))


def _paste(
    image: NDArray[np.uint8],
    cut_out: CutOut,
    centre_xy: NDArray[np.float64],
    half_size_px: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Lay one turned, mirrored, recoloured thing on `image`; returns its mask."""
    canvas_wh = (image.shape[1], image.shape[0])
    height, width = cut_out.mask_HW.shape
    scale = 2 * half_size_px / max(height, width)
    angle = rng.normal() * 12
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix = np.asarray(turn, np.float64)
    if rng.random() < 0.5:
        matrix = matrix @ np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]])
    matrix[:, 2] += centre_xy - [width / 2, height / 2]
    source = cut_out.image_HWC
    outline = cut_out.mask_HW
    if scale < 0.5:
        # warpAffine does not average: blur first, or shrunk things turn to grain.
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.35 / scale), np.uint8)
    thing = cv2.warpAffine(
        recolour(source, rng),
        matrix,
        canvas_wh,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    soft = cv2.warpAffine(outline * np.float32(1), matrix, canvas_wh)
    alpha = cv2.blur(soft, (3, 3)) if rng.random() < 0.7 else soft
    left, top, box_w, box_h = cv2.boundingRect((alpha > 0).astype(np.uint8))
    box = np.s_[top : top + box_h, left : left + box_w]
    mixed = image[box] + alpha[box][..., None] * (thing[box].astype(np.float32) - image[box])
    image[box] = mixed.astype(np.uint8)
    return (soft > 0.5).astype(np.uint8)

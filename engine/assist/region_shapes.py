"""From one region of the labelling page to its pixels, or to the reason why it has none."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any, Final

from engine.backend.labels import MASK_CONTROL, OUTLINE_CONTROL
from engine.label_studio.brush import decode_brush
from engine.label_studio.labelling_config import category_of
from engine.label_studio.outline import (
    corrected,
    filled,
    is_untouched,
    label_of,
    outline_of,
    points_of,
)
from stages import rle
from stages.records import MaskRecord
from stages.rle import Rle

Json = dict[str, Any]

FOREIGN_REGION: Final = "foreign_region"
FOREIGN_LABEL: Final = "foreign_label"
BROKEN_RLE: Final = "broken_rle"
BROKEN_POLYGON: Final = "broken_polygon"
WRONG_SIZE: Final = "wrong_size"
EMPTY: Final = "empty"

_CONTROLS: Final = (MASK_CONTROL, OUTLINE_CONTROL)


def shape_of(
    region: Json,
    size_hw: tuple[int, int],
    labels: Set[str],
    prefilled: MaskRecord | None,
) -> MaskRecord | Rle | str:
    """The region's mask, the very record that the task began with, or why there is none.

    Args:
        region: as the server gives it.
        size_hw: of the upright photo; a region that states another size has no mask, and nothing
            is made of the size that it states.
        labels: that masks may have.
        prefilled: the exact mask that this region was when the task was sent.
    """
    value = region.get("value")
    decode = {"brushlabels": _brush, "polygonlabels": _polygon}.get(str(region.get("type")))
    if decode is None or not isinstance(value, dict):
        return FOREIGN_REGION
    if region.get("from_name") not in _CONTROLS:
        return FOREIGN_REGION
    if label_of(region) not in labels:
        return FOREIGN_LABEL
    stated = (region.get("original_height"), region.get("original_width"))
    if stated != size_hw or region.get("image_rotation"):
        return WRONG_SIZE
    if prefilled is not None and prefilled.segmentation.size_hw != size_hw:
        return WRONG_SIZE
    return decode(region, size_hw, prefilled)


def _brush(region: Json, size_hw: tuple[int, int], _prefilled: MaskRecord | None) -> Rle | str:
    try:
        mask_HW = decode_brush(region["value"].get("rle", ()), size_hw)
    except (ValueError, TypeError):
        return BROKEN_RLE
    return rle.encode(mask_HW) if mask_HW.any() else EMPTY


def _polygon(
    region: Json, size_hw: tuple[int, int], prefilled: MaskRecord | None
) -> MaskRecord | Rle | str:
    try:
        corners = points_of(region)
    except ValueError:
        return BROKEN_POLYGON
    if prefilled is None:
        mask_HW = filled(corners, size_hw)
    else:
        exact_HW = rle.decode(prefilled.segmentation)
        sent = outline_of(exact_HW)
        if is_untouched(corners, sent):
            return replace(prefilled, category=category_of(label_of(region)))
        mask_HW = corrected(exact_HW, sent, corners)
    return rle.encode(mask_HW) if mask_HW.any() else EMPTY

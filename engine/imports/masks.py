"""A described mask becomes a record, or a reason why not. Everything is checked here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from pycocotools import mask as coco_mask

from engine.imports.annotated import AnnotatedPhoto, Annotation
from stages import ids, rle
from stages.records import MaskRecord
from stages.rle import Rle

ORIGIN: Final = "import"
CROWD: Final = "crowd"
BROKEN: Final = "broken_segmentation"
WRONG_SIZE: Final = "wrong_size"
EMPTY: Final = "empty"
DUPLICATE: Final = "duplicate"

_LOWEST_DIGIT, _HIGHEST_DIGIT = 48, 48 + 63  # six bits a character
_CONTINUES, _NEGATIVE = 32, 16


class UnusableMask(Exception):
    """Why a described mask cannot be used."""


def masks_of(
    photo: AnnotatedPhoto, image_id: str, size_hw: tuple[int, int]
) -> tuple[tuple[MaskRecord, ...], Counter[str]]:
    """The masks of a photo, and how many of the described ones were dropped for which reason.

    Args:
        photo: as the file describes it.
        image_id: of the photo.
        size_hw: of the photo itself, upright.
    """
    masks: dict[str, MaskRecord] = {}
    dropped: Counter[str] = Counter()
    for annotation in photo.annotations:
        try:
            mask = _record(annotation, image_id, size_hw)
        except UnusableMask as reason:
            dropped[str(reason)] += 1
            continue
        if mask.mask_id in masks:
            dropped[DUPLICATE] += 1
        else:
            masks[mask.mask_id] = mask
    return tuple(masks.values()), dropped


def to_rle(segmentation: Any, size_hw: tuple[int, int]) -> Rle:
    """COCO's three forms of a mask as compressed RLE.

    Polygons lie in the frame of `size_hw`; what sticks out of it is cut off. RLE carries its own
    size, which has to be the same.

    Raises:
        UnusableMask: `broken_segmentation` or `wrong_size`.
    """
    if isinstance(segmentation, dict):
        return _from_rle(segmentation, size_hw)
    return _from_polygons(segmentation, size_hw)


def runs_of(counts: str) -> list[int]:
    """Run lengths of compressed RLE, checked on the way (pycocotools trusts what it is given).

    Raises:
        UnusableMask: if the text is no compressed RLE.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        digit = ord(character)
        if not _LOWEST_DIGIT <= digit <= _HIGHEST_DIGIT:
            raise UnusableMask(BROKEN)
        digit -= _LOWEST_DIGIT
        value |= (digit & 31) << shift
        shift += 5
        if digit & _CONTINUES:
            continue
        if digit & _NEGATIVE:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise UnusableMask(BROKEN)
    return runs


def _record(annotation: Annotation, image_id: str, size_hw: tuple[int, int]) -> MaskRecord:
    if annotation.crowd:
        raise UnusableMask(CROWD)
    segmentation = to_rle(annotation.segmentation, size_hw)
    area = rle.area_px(segmentation)
    if not area:
        raise UnusableMask(EMPTY)
    return MaskRecord(
        mask_id=ids.mask_id(image_id, size_hw, segmentation.counts, origin=ORIGIN, maker=""),
        segmentation=segmentation,
        bbox=rle.bbox_xywh(segmentation),
        area=area,
        origin=ORIGIN,
        predicted_iou=annotation.predicted_iou,
        stability_score=annotation.stability_score,
        crop_box=annotation.crop_box,
        point_coords=annotation.point_coords,
        category=annotation.category,
    )


def _from_rle(segmentation: dict[str, Any], size_hw: tuple[int, int]) -> Rle:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        raise UnusableMask(BROKEN)
    if tuple(size) != size_hw:
        raise UnusableMask(WRONG_SIZE)
    if isinstance(counts, str):
        return _from_runs(runs_of(counts), size_hw)
    if isinstance(counts, list) and all(type(count) is int for count in counts):
        return _from_runs(counts, size_hw)
    raise UnusableMask(BROKEN)


def _from_runs(runs: Sequence[int], size_hw: tuple[int, int]) -> Rle:
    """The same pixels always give the same counts, also where a writer has split runs."""
    if any(run < 0 for run in runs) or sum(runs) != size_hw[0] * size_hw[1]:
        raise UnusableMask(BROKEN)
    joined = [0]
    inside = False  # what `joined[-1]` counts
    for place, run in enumerate(runs):
        if run and inside != bool(place % 2):
            joined.append(0)
            inside = not inside
        joined[-1] += run
    coco = coco_mask.frPyObjects({"size": list(size_hw), "counts": joined}, *size_hw)
    return Rle(size_hw, coco["counts"].decode("ascii"))


def _from_polygons(segmentation: Any, size_hw: tuple[int, int]) -> Rle:
    if not isinstance(segmentation, list) or not segmentation:
        raise UnusableMask(BROKEN)
    if not all(_is_polygon(polygon) for polygon in segmentation):
        raise UnusableMask(BROKEN)
    height, width = size_hw
    parts = coco_mask.frPyObjects(segmentation, height, width)
    merged = coco_mask.merge(parts)
    return Rle(size_hw, merged["counts"].decode("ascii"))


def _is_polygon(polygon: Any) -> bool:
    """Three points at least, all numbers, none so far out that drawing it would take for ever."""
    return (
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(
            isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e6
            for value in polygon
        )
    )

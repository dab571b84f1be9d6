"""From what one person drew to mask records: exact pixels, who, how long, from which prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.assist.answer_content import Before, Drawing, Json
from engine.assist.region_shapes import shape_of
from engine.backend.labels import MEANT_CONTROL
from engine.clicks.effort import RegionEffort
from engine.label_studio.labelling_config import (
    EXHAUSTIVE_CHOICE,
    EXHAUSTIVE_CONTROL,
    category_of,
)
from engine.label_studio.outline import label_of
from engine.label_studio.simulated_mark import is_marked
from stages import ids, rle
from stages.records import MaskRecord
from stages.rle import Rle

HUMAN: Final = "human"
SIMULATED: Final = "simulated"
DUPLICATE: Final = "duplicate"
REJECTED: Final = "rejected"
CORRECTED: Final = "corrected"

_DRAWN: Final = ("brushlabels", "polygonlabels")


@dataclass(frozen=True)
class DrawnMasks:
    """What one drawing gives.

    Attributes:
        by_region: masks by the region they are, in the order they were drawn.
        dropped: regions that give no mask, by reason.
        exhaustive: True where the person says so, else None.
    """

    by_region: Mapping[str, MaskRecord]
    dropped: Mapping[str, int]
    exhaustive: bool | None

    @property
    def masks(self) -> tuple[MaskRecord, ...]:
        """The masks alone."""
        return tuple(self.by_region.values())


def masks_of(
    drawing: Drawing,
    image_id: str,
    *,
    size_hw: tuple[int, int] | None,
    labels: Set[str],
    before: Mapping[str, Before],
    prefilled: Mapping[str, MaskRecord] = MappingProxyType({}),
) -> DrawnMasks:
    """Reads a drawing; nothing in it can fail, what is of no use is dropped and counted.

    Args:
        drawing: one person's.
        image_id: of the photo.
        size_hw: of the upright photo; a mask of another size is dropped. None takes the size
            that each region states.
        labels: that masks may have.
        before: masks of the collection before, by region.
        prefilled: the exact masks that the task began with, by region. One whose outline nobody
            moved is that very record; one that is gone is counted as rejected.
    """
    dropped: Counter[str] = Counter()
    masks: dict[str, MaskRecord] = {}
    regions = [region for region in drawing.result if not _is_note(region)]
    shapes = [shape_of(r, size_hw, labels, prefilled.get(str(r.get("id")))) for r in regions]
    drawn = [r for r, s in zip(regions, shapes, strict=True) if not isinstance(s, MaskRecord)]
    maker = _Maker(drawing, image_id, _seconds_a_drawn_mask(drawing, drawn))
    seen: set[str] = set()
    for place, (region, shape) in enumerate(zip(regions, shapes, strict=True)):
        if isinstance(shape, str):
            dropped[shape] += 1
            continue
        if isinstance(shape, MaskRecord):
            mask = shape
        else:
            mask = maker.record(region, shape, before.get(str(region.get("id"))))
        if mask.mask_id in seen:
            dropped[DUPLICATE] += 1
            continue
        seen.add(mask.mask_id)
        masks[str(region.get("id", place))] = mask
    dropped.update(_replaced(masks, regions, prefilled))
    return DrawnMasks(masks, dict(sorted(dropped.items())), _exhaustive(drawing.result))


@dataclass(frozen=True)
class _Maker:
    """Makes records of one person's regions."""

    drawing: Drawing
    image_id: str
    seconds_by_hand: float

    def record(self, region: Json, segmentation: Rle, before: Before | None) -> MaskRecord:
        effort = self.drawing.efforts.get(str(region.get("id")))
        maker = effort.model_id if effort else self.drawing.annotator
        origin = SIMULATED if is_marked(region) else HUMAN
        same = before is not None and before.counts == segmentation.counts
        parent = None
        if before is not None:
            parent = before.derived_from if same else before.mask_id
        return MaskRecord(
            mask_id=ids.mask_id(
                self.image_id,
                segmentation.size_hw,
                segmentation.counts,
                origin=origin,
                maker=maker,
                derived_from=parent,
            ),
            segmentation=segmentation,
            bbox=rle.bbox_xywh(segmentation),
            area=rle.area_px(segmentation),
            origin=origin,
            derived_from=parent,
            category=category_of(label_of(region)),
            annotator=self.drawing.annotator,
            edited_px=_edited_px(segmentation, before) if before and not same else None,
            **self._made_by_clicking(effort) if effort else self._drawn_by_hand(),
        )

    def _drawn_by_hand(self) -> dict[str, Any]:
        return {"seconds": _float32(self.seconds_by_hand), "seconds_from": "task"}

    @staticmethod
    def _made_by_clicking(effort: RegionEffort) -> dict[str, Any]:
        prompt = effort.prompt
        clicked = zip(prompt.points_xy, prompt.point_labels, strict=True)
        score = effort.predicted_iou
        return {
            "predicted_iou": None if score is None else _float32(score),
            "point_coords": tuple(point for point, label in clicked if label == 1),
            "prompt": prompt,
            "model_id": effort.model_id,
            "seconds": _float32(max(effort.seconds, 0.0)),
            "seconds_from": "clicks",
            "clicks": effort.clicks,
        }


def _replaced(
    masks: Mapping[str, MaskRecord], regions: Sequence[Json], prefilled: Mapping[str, MaskRecord]
) -> Counter[str]:
    """Masks that the task began with and that are no more as they were, by what was done."""
    there = {str(region.get("id")) for region in regions}
    done: Counter[str] = Counter()
    for region, mask in prefilled.items():
        if region not in there:
            done[REJECTED] += 1
        elif region in masks and masks[region].mask_id != mask.mask_id:
            done[CORRECTED] += 1
    return done


def _is_note(region: Json) -> bool:
    """Whether it is no region but something said: an answer, or what clicks on a mask meant."""
    if region.get("type") == "labels":
        return region.get("from_name") == MEANT_CONTROL
    return region.get("type") == "choices"


def _exhaustive(result: Sequence[Json]) -> bool | None:
    for region in result:
        if region.get("type") == "choices" and region.get("from_name") == EXHAUSTIVE_CONTROL:
            chosen = (region.get("value") or {}).get("choices") or []
            return True if EXHAUSTIVE_CHOICE in chosen else None
    return None


def _seconds_a_drawn_mask(drawing: Drawing, regions: Sequence[Json]) -> float:
    """The task's time that no click accounts for, shared by the masks drawn by hand."""
    ids_ = [str(region.get("id")) for region in regions if region.get("type") in _DRAWN]
    clicked = sum(drawing.efforts[id_].seconds for id_ in ids_ if id_ in drawing.efforts)
    by_hand = sum(id_ not in drawing.efforts for id_ in ids_)
    return max(drawing.lead_seconds - clicked, 0.0) / max(by_hand, 1)


def _edited_px(segmentation: Rle, before: Before) -> int:
    """Pixels in which a mask differs from what it was."""
    was: NDArray[np.bool_] = rle.decode(Rle(segmentation.size_hw, before.counts))
    return int(np.count_nonzero(was != rle.decode(segmentation)))


def _float32(number: float) -> float:
    """As it will stand in a shard."""
    return float(np.float32(number))

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
from engine.assist.region_shapes import FOREIGN_REGION, shape_of
from engine.backend.labels import MEANT_CONTROL
from engine.clicks.effort import RegionEffort
from engine.label_studio.labelling_config import (
    EXHAUSTIVE_CHOICE,
    EXHAUSTIVE_CONTROL,
    category_of,
)
from engine.label_studio.outline import label_of
from engine.label_studio.simulated_mark import is_marked, simulated_by
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
        annotator: whose.
        by_region: masks by the region they are, in the order they were drawn.
        dropped: regions that give no mask, by reason.
        exhaustive: True where the person says so, else None.
    """

    annotator: str
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
    size_hw: tuple[int, int],
    labels: Set[str],
    before: Mapping[str, Before],
    prefilled: Mapping[str, MaskRecord] = MappingProxyType({}),
) -> DrawnMasks:
    """Reads a drawing; nothing in it can fail, what is of no use is dropped and counted.

    Args:
        drawing: one person's.
        image_id: of the photo.
        size_hw: of the upright photo; a mask of another size is dropped.
        labels: that masks may have.
        before: this person's masks of the collections before, by region.
        prefilled: the exact masks that the task began with, by region. One whose outline nobody
            moved is that very record; one that is gone is counted as rejected.
    """
    dropped = Counter({FOREIGN_REGION: len(drawing.result) - len(drawing.regions)})
    masks: dict[str, MaskRecord] = {}
    regions = _by_name(drawing.regions)
    shapes = {n: shape_of(r, size_hw, labels, prefilled.get(n)) for n, r in regions.items()}
    drawn = {n: r for n, r in regions.items() if not isinstance(shapes[n], MaskRecord)}
    maker = _Maker(drawing, image_id, _seconds_a_drawn_mask(drawing, drawn))
    seen: set[str] = set()
    for name, shape in shapes.items():
        if isinstance(shape, str):
            dropped[shape] += 1
            continue
        if isinstance(shape, MaskRecord):
            mask = shape
        else:
            parent = before.get(name) or _as_it_began(prefilled.get(name))
            mask = maker.record(name, regions[name], shape, parent)
        if mask.mask_id in seen:
            dropped[DUPLICATE] += 1
            continue
        seen.add(mask.mask_id)
        masks[name] = mask
    dropped.update(_replaced(masks, regions, prefilled))
    counts = {reason: count for reason, count in sorted(dropped.items()) if count}
    return DrawnMasks(drawing.annotator, masks, counts, _exhaustive(drawing.regions))


@dataclass(frozen=True)
class _Maker:
    """Makes records of one person's regions."""

    drawing: Drawing
    image_id: str
    seconds_by_hand: float

    def record(
        self, name: str, region: Json, segmentation: Rle, before: Before | None
    ) -> MaskRecord:
        effort = self.drawing.efforts.get(name)
        annotator = simulated_by([region], self.drawing.annotator)
        maker = effort.model_id if effort else annotator
        origin = SIMULATED if is_marked(region) else HUMAN
        if before is not None and before.segmentation.size_hw != segmentation.size_hw:
            before = None  # of another photo, as it were
        same = before is not None and before.segmentation == segmentation
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
            annotator=annotator,
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


def _by_name(regions: Sequence[Json]) -> dict[str, Json]:
    """What is to be a mask, by its id; where that is missing or taken, by its place as well.

    A second region of one id is somebody's work too; it has no history, which the first one has.
    """
    named: dict[str, Json] = {}
    for place, region in enumerate(regions):
        if _is_note(region):
            continue
        name = "" if region.get("id") is None else str(region["id"])
        while not name or name in named:
            name = f"{name}#{place}"
        named[name] = region
    return named


def _as_it_began(prefilled: MaskRecord | None) -> Before | None:
    if prefilled is None:
        return None
    return Before(prefilled.mask_id, None, prefilled.segmentation)


def _replaced(
    masks: Mapping[str, MaskRecord],
    regions: Mapping[str, Json],
    prefilled: Mapping[str, MaskRecord],
) -> Counter[str]:
    """Masks that the task began with and that are no more as they were, by what was done."""
    done: Counter[str] = Counter()
    for region, mask in prefilled.items():
        if region not in regions:
            done[REJECTED] += 1
        elif region in masks and masks[region].mask_id != mask.mask_id:
            done[CORRECTED] += 1
    return done


def _is_note(region: Json) -> bool:
    """Whether it is no region but something said: an answer, or what clicks on a mask meant."""
    if region.get("type") == "labels":
        return region.get("from_name") == MEANT_CONTROL
    return region.get("type") == "choices"


def _exhaustive(regions: Sequence[Json]) -> bool | None:
    for region in regions:
        if region.get("type") == "choices" and region.get("from_name") == EXHAUSTIVE_CONTROL:
            value = region.get("value")
            chosen = value.get("choices") if isinstance(value, dict) else None
            return True if isinstance(chosen, list) and EXHAUSTIVE_CHOICE in chosen else None
    return None


def _seconds_a_drawn_mask(drawing: Drawing, regions: Mapping[str, Json]) -> float:
    """The task's time that no click accounts for, shared by the masks drawn by hand."""
    names = [name for name, region in regions.items() if region.get("type") in _DRAWN]
    clicked = sum(drawing.efforts[name].seconds for name in names if name in drawing.efforts)
    by_hand = sum(name not in drawing.efforts for name in names)
    return max(drawing.lead_seconds - clicked, 0.0) / max(by_hand, 1)


def _edited_px(segmentation: Rle, before: Before) -> int:
    """Pixels in which a mask differs from what it was."""
    was: NDArray[np.bool_] = rle.decode(before.segmentation)
    return int(np.count_nonzero(was != rle.decode(segmentation)))


def _float32(number: float) -> float:
    """As it will stand in a shard."""
    return float(np.float32(number))

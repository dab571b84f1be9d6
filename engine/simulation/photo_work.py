"""What a simulated annotator does with one photo: looks at the masks shown, clicks on the rest.

Every known object and every mask shown is accounted for: kept as it was, corrected, drawn, given
up, left for want of time, or rejected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.truth import TruthMask, TruthPhoto
from engine.simulation.annotator import AnnotatorParameters, Answers, Work, annotate
from model.prompts import POSITIVE
from stages import ids, rle
from stages.records import ImageRef, MaskRecord
from stages.rle import Rle

ORIGIN: Final = "simulated"
GIVEN_UP: Final = "given_up"
SAME_MASK: Final = "same_mask_as_another"
NO_TIME: Final = "no_time_left"
REJECTED: Final = "rejected"
CORRECTED: Final = "corrected"

SAME_OBJECT_IOU: Final = 0.5
"""A mask shown that is at least this like an object is of that object, well or badly drawn."""


@dataclass(frozen=True)
class PhotoWork:
    """What came of one photo.

    Attributes:
        masks: accepted, corrected, drawn.
        dropped: objects and masks shown that came to nothing, by reason.
        exhaustive: whether every known object has its mask.
    """

    masks: tuple[MaskRecord, ...]
    dropped: dict[str, int]
    exhaustive: bool


@dataclass(frozen=True)
class _Task:
    """An object that has to be clicked on, and the mask shown that it corrects."""

    truth: TruthMask
    corrects: MaskRecord | None = None


def work_on_photo(
    ref: ImageRef,
    known: TruthPhoto,
    view: Answers,
    parameters: AnnotatorParameters,
    *,
    shown: Sequence[MaskRecord] = (),
    objects: int | None = None,
) -> PhotoWork:
    """Goes through one photo that is in view.

    Args:
        ref: which photo.
        known: its true masks.
        view: where masks come from.
        parameters: of the annotator.
        shown: a machine's masks: good ones stay untouched, bad ones are corrected or rejected.
        objects: the most prominent objects that are clicked on; the rest has to wait.
    """
    dropped: Counter[str] = Counter()
    kept: dict[str, MaskRecord] = {}
    tasks = _compare(known, shown, parameters, kept, dropped)
    tasks.sort(key=lambda task: -rle.area_px(_encoded(task.truth)))
    left_over = len(tasks[objects:]) if objects is not None else 0
    if left_over:
        dropped[NO_TIME] += left_over
    for task in tasks[:objects]:
        record = _worked_on(ref, task, view, parameters)
        if record is None:
            dropped[GIVEN_UP] += 1
        elif record.mask_id in kept:
            dropped[SAME_MASK] += 1
        else:
            kept[record.mask_id] = record
    complete = not (left_over or dropped[GIVEN_UP])
    return PhotoWork(tuple(kept.values()), {k: v for k, v in dropped.items() if v}, complete)


def _compare(
    known: TruthPhoto,
    shown: Sequence[MaskRecord],
    parameters: AnnotatorParameters,
    kept: dict[str, MaskRecord],
    dropped: Counter[str],
) -> list[_Task]:
    """Keeps masks that are good as they are; gives what has to be clicked on."""
    mask_of = match([mask.segmentation for mask in shown], known.masks)
    dropped[REJECTED] += len(shown) - len(mask_of)
    tasks = []
    for number, truth in enumerate(known.masks):
        if number not in mask_of:
            tasks.append(_Task(truth))
            continue
        mask = shown[mask_of[number]]
        iou = rle.pairwise_iou([mask.segmentation], [_encoded(truth)])[0, 0]
        if iou >= parameters.accept_iou:
            kept[mask.mask_id] = replace(mask, annotator=parameters.annotator, clicks=0)
        else:
            dropped[CORRECTED] += 1
            tasks.append(_Task(truth, mask))
    return tasks


def match(shown: Sequence[Rle], truths: Sequence[TruthMask]) -> dict[int, int]:
    """For each object that a mask shows, the mask's place: the best pairs first, each once."""
    if not shown or not truths:
        return {}
    iou_ST: NDArray[np.float64] = rle.pairwise_iou(shown, [_encoded(truth) for truth in truths])
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for flat in np.argsort(-iou_ST, axis=None, kind="stable").tolist():
        place, number = divmod(flat, iou_ST.shape[1])
        if iou_ST[place, number] < SAME_OBJECT_IOU:
            break
        if place not in taken and number not in pairs:
            pairs[number] = place
            taken.add(place)
    return pairs


def _worked_on(
    ref: ImageRef, task: _Task, view: Answers, parameters: AnnotatorParameters
) -> MaskRecord | None:
    truth_HW = task.truth.mask()
    work = annotate(truth_HW, task.truth.ignored_band(), ref.image_id, view, parameters)
    if work.is_accepted:
        mask_HW = work.shown.mask_HW
    elif parameters.draws_by_hand:
        mask_HW = truth_HW
    else:
        return None
    return _record(ref, task, work, rle.encode(mask_HW), view.model_id, parameters.annotator)


def _record(
    ref: ImageRef, task: _Task, work: Work, segmentation: Rle, model_id: str, annotator: str
) -> MaskRecord:
    height, width = segmentation.size_hw
    prompt = work.prompt
    positive = zip(prompt.points_xy, prompt.point_labels, strict=True)
    by_hand = not work.is_accepted
    parent = None if task.corrects is None else task.corrects.mask_id
    return MaskRecord(
        mask_id=ids.mask_id(
            ref.image_id,
            (height, width),
            segmentation.counts,
            origin=ORIGIN,
            maker=annotator if by_hand else model_id,
            derived_from=parent,
        ),
        segmentation=segmentation,
        bbox=rle.bbox_xywh(segmentation),
        area=rle.area_px(segmentation),
        origin=ORIGIN,
        predicted_iou=None if by_hand else work.shown.predicted_iou,
        point_coords=tuple(point for point, label in positive if label == POSITIVE),
        prompt=prompt,
        model_id=None if by_hand else model_id,
        derived_from=parent,
        annotator=annotator,
        clicks=work.clicks,
        edited_px=_edited_px(work, segmentation) if by_hand else None,
    )


def _edited_px(work: Work, segmentation: Rle) -> int:
    """Pixels that a brush had to change in the model's last answer."""
    return int(np.count_nonzero(work.shown.mask_HW != rle.decode(segmentation)))


def _encoded(truth: TruthMask) -> Rle:
    return rle.encode(truth.mask())

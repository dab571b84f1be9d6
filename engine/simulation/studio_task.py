"""One task of the labelling page, as a simulated annotator does it.

First the outlines that are there: good ones stay, bad ones are deleted. Then the objects that have
no mask, the largest first: by clicks, and with the brush where clicks do not get them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from engine.backend.labels import IMAGE_CONTROL, MASK_CONTROL, OBJECT
from engine.evaluation.truth import TruthMask, TruthPhoto
from engine.label_studio.brush import encode_brush
from engine.label_studio.brush_region import brush_region
from engine.label_studio.labelling_config import EXHAUSTIVE_CHOICE, EXHAUSTIVE_CONTROL
from engine.label_studio.outline import filled, points_of
from engine.label_studio.simulated_mark import with_mark
from engine.simulation.annotator import AnnotatorParameters, Answers, Mask, annotate
from engine.simulation.photo_work import match
from stages import rle
from stages.rle import Rle

Json = dict[str, Any]

# Of regions drawn by hand and of answered questions: doing a task again gives the same ids.
_NAMESPACE: Final = uuid.UUID("4f2f8f57-53b1-4c3a-8a0e-6a1be1f0d5c2")


class Page(Answers, Protocol):
    """Answers of the labelling page, and the region that the last one drew."""

    @property
    def last_region(self) -> Json | None:
        """As the page keeps it; None where nothing came back."""
        ...


@dataclass
class Outcome:
    """What became of objects.

    Attributes:
        accepted, drawn, given_up: objects, after clicks.
        kept, rejected: outlines that a task began with.
        clicks: on all objects.
    """

    accepted: int = 0
    drawn: int = 0
    given_up: int = 0
    kept: int = 0
    rejected: int = 0
    clicks: int = 0


@dataclass
class TaskWork(Outcome):
    """What became of one task, and the `regions` to submit."""

    regions: list[Json] = field(default_factory=list)


def work_on_task(
    task: Mapping[str, Any],
    known: TruthPhoto,
    page: Page,
    parameters: AnnotatorParameters,
    *,
    objects: int | None = None,
) -> TaskWork:
    """Does a task that is open on the page.

    Args:
        task: as the server gives it.
        known: the photo's true masks.
        page: answers clicks.
        parameters: of the annotator.
        objects: the most prominent objects that are clicked on; all if None.
    """
    done = TaskWork()
    missing = _compare(_outlines(task), known.masks, parameters, done)
    missing.sort(key=lambda truth: -int(truth.mask().sum()))
    for truth in missing[:objects]:
        _click_on(truth, str(task["id"]), page, parameters, done)
    is_complete = not done.given_up and len(missing[:objects]) == len(missing)
    # Asked of every task, so that one without any region says as well that nobody did it.
    done.regions.append(_whether_everything_has_a_mask(task, is_complete=is_complete))
    done.regions = [with_mark(region, parameters.annotator) for region in done.regions]
    return done


def _outlines(task: Mapping[str, Any]) -> list[Json]:
    predictions: Sequence[Json] = task.get("predictions") or ()
    return list(predictions[0]["result"]) if predictions else []


def _compare(
    outlines: Sequence[Json],
    truths: Sequence[TruthMask],
    parameters: AnnotatorParameters,
    done: TaskWork,
) -> list[TruthMask]:
    """Keeps outlines that are good as they are; gives the objects that have none."""
    shapes = [_pixels(outline) for outline in outlines]
    place_of = match(shapes, truths)
    missing = []
    for number, truth in enumerate(truths):
        place = place_of.get(number)
        if place is not None and _iou(shapes[place], truth) >= parameters.accept_iou:
            done.regions.append(outlines[place])
            done.kept += 1
        else:
            missing.append(truth)
    done.rejected = len(outlines) - done.kept
    return missing


def _pixels(outline: Json) -> Rle:
    """What a person sees of an outline."""
    size_hw = int(outline["original_height"]), int(outline["original_width"])
    return rle.encode(filled(points_of(outline), size_hw))


def _iou(shape: Rle, truth: TruthMask) -> float:
    return float(rle.pairwise_iou([shape], [rle.encode(truth.mask())])[0, 0])


def _click_on(
    truth: TruthMask, task: str, page: Page, parameters: AnnotatorParameters, done: TaskWork
) -> None:
    truth_HW = truth.mask()
    work = annotate(truth_HW, truth.ignored_band(), task, page, parameters)
    done.clicks += work.clicks
    if work.is_accepted and page.last_region is not None:
        done.regions.append(page.last_region)
        done.accepted += 1
    elif parameters.draws_by_hand:
        done.regions.append(_drawn(truth_HW, task, truth.annotation_id, page))
        done.drawn += 1
    else:
        done.given_up += 1


def _drawn(truth_HW: Mask, task: str, annotation: int, page: Page) -> Json:
    """The last answer mended with the brush, or a new region where there was none."""
    drawn = brush_region(
        str(uuid.uuid5(_NAMESPACE, f"{task} {annotation}")),
        encode_brush(truth_HW),
        truth_HW.shape,
        control=MASK_CONTROL,
        shown_on=IMAGE_CONTROL,
        label=OBJECT,
    )
    answered = page.last_region or drawn
    return answered | {"value": answered["value"] | {"rle": drawn["value"]["rle"]}}


def _whether_everything_has_a_mask(task: Mapping[str, Any], *, is_complete: bool) -> Json:
    return {
        "id": str(uuid.uuid5(_NAMESPACE, f"{task['id']} {EXHAUSTIVE_CONTROL}")),
        "type": "choices",
        "from_name": EXHAUSTIVE_CONTROL,
        "to_name": IMAGE_CONTROL,
        "value": {"choices": [EXHAUSTIVE_CHOICE] if is_complete else []},
    }

"""A task of the labelling page in a simulated annotator's hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.assist.answer_content import Content, Drawing
from engine.assist.drawn_masks import DrawnMasks, masks_of
from engine.assist.region_shapes import shape_of
from engine.assist.reviewing import reviews_of
from engine.backend.conversation import Conversation
from engine.backend.labels import IMAGE_CONTROL, OBJECT, OUTLINE_CONTROL
from engine.evaluation.truth import TruthMask, TruthPhoto
from engine.label_studio.outline import polygon_region
from engine.label_studio.simulated_mark import is_marked
from engine.simulation.annotator import AnnotatorParameters, Mask, Shown
from engine.simulation.studio_task import TaskWork, work_on_task
from stages import rle
from tests.engine.assist.runs import make_region
from tests.factories import make_mask, rectangle

SIZE_HW = (48, 64)
LEFT, RIGHT = rectangle((4, 4, 20, 20), SIZE_HW), rectangle((40, 20, 16, 16), SIZE_HW)
NAMES = {OBJECT}
BOXES = {"kept": (4, 4, 20, 20), "deleted": (2, 40, 10, 6)}


class OneMask:
    """A page that answers every click with the same mask."""

    model_id = "0" * 16

    def __init__(self, mask_HW: Mask) -> None:
        self.last_region: dict[str, Any] | None = make_region(mask_HW, id="answered")
        self._mask_HW = mask_HW

    def show(self, _conversation: Conversation) -> Shown:
        return Shown(self._mask_HW, 0.9)


def known() -> TruthPhoto:
    masks = [
        TruthMask(number, rle.encode(mask).as_coco(), None, SIZE_HW)
        for number, mask in enumerate((LEFT, RIGHT))
    ]
    return TruthPhoto(Path("0.png"), tuple(masks))


def outline(mask_HW: Mask, name: str) -> dict[str, Any]:
    return polygon_region(
        name, mask_HW, control=OUTLINE_CONTROL, shown_on=IMAGE_CONTROL, label=OBJECT, score=0.9
    )


def do(
    page: OneMask, *outlines: dict[str, Any], objects: int | None = None, **how: Any
) -> TaskWork:
    task = {"id": 7, "predictions": [{"result": list(outlines)}] if outlines else []}
    parameters = AnnotatorParameters(accept_iou=0.8, most_clicks=2, **how)
    return work_on_task(task, known(), page, parameters, objects=objects)


def read(regions: list[dict[str, Any]]) -> DrawnMasks:
    drawing = Drawing("ann", 1.0, skipped=False, result=regions)
    return masks_of(drawing, "0" * 32, size_hw=SIZE_HW, labels=NAMES, before={})


def test_good_outlines_stay_bad_ones_go_and_the_rest_is_clicked() -> None:
    nowhere = rectangle((2, 40, 10, 6), SIZE_HW)
    good = outline(LEFT, "good")

    done = do(OneMask(RIGHT), good, outline(nowhere, "bad"))

    assert (done.kept, done.rejected, done.accepted, done.clicks) == (1, 1, 1, 1)
    kept = dict(done.regions[0])
    assert "simulated" in kept.pop("meta")["text"][0]
    assert kept == good
    assert all(is_marked(region) for region in done.regions)
    masks = read(done.regions)
    assert [mask.origin for mask in masks.masks] == ["simulated", "simulated"]
    assert masks.exhaustive is True


@pytest.mark.parametrize("answer", [True, False])
def test_what_clicks_do_not_get_is_drawn_with_the_brush(answer: bool) -> None:
    page = OneMask(np.zeros(SIZE_HW, bool))
    if not answer:
        page.last_region = None

    done = do(page, draws_by_hand=True, objects=1)
    again = do(page, draws_by_hand=True, objects=1)

    region, ticked = done.regions
    assert ticked["value"] == {"choices": []}  # one was left for want of time
    assert (done.drawn, done.given_up) == (1, 0)
    assert shape_of(region, SIZE_HW, NAMES, None) == rle.encode(LEFT)
    assert region["id"] == again.regions[0]["id"]
    assert (region["id"] == "answered") == answer


def test_without_a_brush_objects_are_given_up_and_the_photo_is_not_complete() -> None:
    done = do(OneMask(np.zeros(SIZE_HW, bool)))

    (ticked,) = done.regions  # says that nobody did it, and nothing else
    assert (done.given_up, done.accepted, ticked["value"]) == (2, 0, {"choices": []})
    assert is_marked(ticked)


def test_records_name_the_simulated_annotator_until_a_person_changes_the_pixels() -> None:
    done = do(OneMask(RIGHT), outline(LEFT, "good"), name="bob")
    _, clicked, _ = done.regions
    assert {mask.annotator for mask in read(done.regions).masks} == {"simulated:bob"}

    note = clicked["meta"]
    again = make_region(RIGHT, id="answered", meta=note)  # the same pixels, saved by a browser
    (mask,) = read([again]).masks
    assert (mask.origin, mask.annotator) == ("simulated", "simulated:bob")
    changed = make_region(LEFT, id="answered", meta=note)
    (mask,) = read([changed]).masks
    assert (mask.origin, mask.annotator) == ("human", "ann")
    of_old = make_region(LEFT, meta={"text": ["simulated by mask-engine"]})
    (mask,) = read([of_old]).masks
    assert (mask.origin, mask.annotator) == ("simulated", "ann")


def test_reviews_name_whoever_judged() -> None:
    shown = {name: make_mask(box_xywh=box, size_hw=SIZE_HW) for name, box in BOXES.items()}
    outlines = [outline(rle.decode(mask.segmentation), name) for name, mask in shown.items()]
    done = do(OneMask(np.zeros(SIZE_HW, bool)), *outlines, name="bob")

    def who(regions: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
        content = Content([Drawing("ann", 1.0, skipped=False, result=regions)], {}, shown)
        names = {mask.mask_id: name for name, mask in shown.items()}
        found = reviews_of(content, "0" * 32)
        return {names[r.mask_id]: (r.verdict, r.annotator) for r in found}

    assert who(done.regions) == {
        "kept": ("accept", "simulated:bob"),
        "deleted": ("reject", "simulated:bob"),
    }
    for point in done.regions[0]["value"]["points"]:
        point[0] += 5
    assert who(done.regions)["kept"] == ("fix", "ann")

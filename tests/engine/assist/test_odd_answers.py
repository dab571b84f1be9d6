"""Whatever stands in an answer: it is one photo's trouble, it is counted, and the run goes on."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.assist.answer_content import Drawing
from engine.assist.drawn_masks import masks_of
from engine.assist.progress import harvest
from stages import rle
from tests.engine.assist.runs import SIZE_HW, AssistedRun, make_region, one_task, open_run_of
from tests.factories import rectangle

LEFT = rectangle((0, 0, 20, 48), SIZE_HW)
RIGHT = rectangle((30, 5, 20, 30), SIZE_HW)
WIDER = rectangle((30, 5, 22, 30), SIZE_HW)
HUGE = {"original_width": 10**6, "original_height": 10**6}
POLYGON = {
    "id": "p",
    "type": "polygonlabels",
    "from_name": "outline",
    "value": {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["Object"]},
}


def choice(value: Any) -> dict[str, Any]:
    return {"id": "c", "type": "choices", "from_name": "exhaustive", "value": value}


ODD = {
    "foreign_region": [
        None,
        "a region",
        [],
        {"type": ["brushlabels"]},
        make_region() | {"value": "brush"},
    ],
    "wrong_size": [make_region() | HUGE, POLYGON | HUGE],
    "broken_polygon": [
        POLYGON
        | {"original_width": 64, "original_height": 48}
        | {"value": {"points": [[0, 0], [10**400, 0], [5, 5]], "polygonlabels": ["Object"]}},
    ],
    "": [choice("Every object has a mask"), choice({"choices": 7})],
}


def test_nothing_that_a_result_may_hold_stops_a_run_or_goes_uncounted(tmp_path):
    run, task = one_task(tmp_path, annotators=2)
    result = [*itertools.chain(*ODD.values()), make_region(RIGHT)]
    run.server.annotate(task, result, by="ann@example.com")
    run.server.annotate(task, [make_region(RIGHT)], by="bob@example.com")
    run.collect()
    run.server.change(task, result, annotation=0)
    run.collect()
    row = run.rows()["000.png"]
    dropped = {reason: len(regions) for reason, regions in ODD.items() if reason}
    assert (row.error, len(row.masks)) == (None, 1)
    assert dict(row.dropped) == dropped | {"other_annotator": 1}
    assert row.exhaustive is None
    assert harvest(run.settings, open_run_of(run)).agreement == 1.0


def test_a_result_that_is_no_list_is_dropped_as_one(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    run.server.annotate(run.server.task_of("000.png"), {"odd": 1})  # type: ignore[arg-type]
    run.collect()
    assert dict(run.rows()["000.png"].dropped) == {"foreign_region": 1}


def test_a_region_of_a_wrong_size_that_comes_back_right_is_a_mask_without_a_parent(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    task, region = run.server.task_of("000.png"), make_region(RIGHT)
    small = make_region(np.ones((10, 10), bool), id=region["id"])
    run.server.annotate(task, [small])
    run.collect()
    run.server.change(task, [region])
    run.collect()
    row = run.rows()["000.png"]
    assert (row.error, [mask.derived_from for mask in row.masks]) == (None, [None])
    run.server.change(task, [make_region(WIDER, id=region["id"])])
    run.collect()
    (mask,) = run.rows()["000.png"].masks
    assert (mask.derived_from, mask.edited_px) == (row.masks[0].mask_id, 60)


def test_a_photo_that_has_another_size_now_gives_masks_without_a_parent(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    task, region = run.server.task_of("000.png"), make_region(RIGHT)
    run.server.annotate(task, [region])
    run.collect()
    Image.new("RGB", (100, 80)).save(run.photos / "000.png")
    larger = rectangle((10, 10, 40, 40), (80, 100))
    run.server.change(task, [make_region(larger, id=region["id"])])
    run.collect()
    row = run.rows()["000.png"]
    assert (row.error, row.revision, row.masks[0].derived_from) == (None, 1, None)
    assert (rle.decode(row.masks[0].segmentation) == larger).all()


def test_regions_of_one_id_or_of_none_are_all_kept(tmp_path):
    run, task = one_task(tmp_path)
    top = rectangle((0, 0, 64, 4), SIZE_HW)
    same = [make_region(mask, id="same") for mask in (LEFT, RIGHT)]
    without = [make_region(mask, id=None) for mask in (WIDER, top)]
    run.server.annotate(task, [*same, *without], seconds=8.0)
    run.collect()
    row = run.rows()["000.png"]
    assert (len(row.masks), dict(row.dropped)) == (4, {})
    assert {mask.seconds for mask in row.masks} == {2.0}
    run.server.change(task, [make_region(top, id="same"), *same[1:], *without])
    run.collect()
    changed = run.rows()["000.png"]
    assert changed.masks[0].derived_from == row.masks[0].mask_id
    assert (len(changed.masks), dict(changed.dropped)) == (4, {})


@pytest.mark.parametrize(
    "where", ["engine.assist.rows.decode_photo", "engine.assist.rows.winner_of"]
)
def test_an_error_that_nobody_foresaw_is_one_photos_row(tmp_path, monkeypatch, where):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    for path in ("000.png", "001.png"):
        run.annotate(path, [LEFT])

    def fail(*arguments: object) -> None:
        raise MemoryError("unable to allocate 931 GiB")

    monkeypatch.setattr(where, fail)
    run.collect()
    errors = {path: row.error for path, row in run.rows().items()}
    assert sorted(errors) == ["000.png", "001.png"]
    assert {(e.type, e.message) for e in errors.values() if e} == {
        ("internal", "MemoryError: unable to allocate 931 GiB")
    }


def test_an_error_that_nobody_foresaw_while_reading_a_task_is_tried_again(tmp_path, monkeypatch):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    for path in ("000.png", "001.png"):
        run.annotate(path, [LEFT])

    def fail(annotation: Any) -> str:
        raise KeyError("completed_by")

    with monkeypatch.context() as patched:
        patched.setattr("engine.assist.task_content.who_made", fail)
        assert run.collect().fresh == 2
        assert run.collect().changed == 0
    kinds = {row.error.type for row in run.rows().values() if row.error}
    assert kinds == {"internal"}
    assert run.collect().changed == 2
    assert [row.error for row in run.rows().values()] == [None, None]


def test_every_region_is_a_mask_or_a_count():
    rng = np.random.default_rng(0)
    ids = [None, "a", "a", "b", 3, "3", "", "a#1"]
    for _ in range(10):
        chosen = [ids[i] for i in rng.integers(0, len(ids), 6)]
        masks = [rng.random(SIZE_HW) > rng.choice([0.5, 1.1]) for _ in chosen]
        result = [make_region(m, id=i) for m, i in zip(masks, chosen, strict=True)]
        read = masks_of(
            Drawing("ann", 1.0, skipped=False, result=[*result, None]),
            "0" * 32,
            size_hw=SIZE_HW,
            labels={"Object"},
            before={},
        )
        assert len(read.masks) + sum(read.dropped.values()) == len(result) + 1

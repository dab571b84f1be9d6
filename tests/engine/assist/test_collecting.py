"""What people drew comes back as it is, once, with who made it and how long it took."""

from __future__ import annotations

import numpy as np
import pytest

from engine.assist.progress import harvest, server_progress
from stages import rle
from tests.engine.assist.runs import SIZE_HW, AssistedRun, make_exhaustive, make_region, open_run_of
from tests.factories import rectangle
from tests.pipelines.runs import shard_digests

LEFT = rectangle((0, 0, 20, 48), SIZE_HW)
RIGHT = rectangle((30, 5, 20, 30), SIZE_HW)


def test_masks_come_back_bit_exact_with_who_and_how_long(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    rough = np.random.default_rng(0).random(SIZE_HW) > 0.5
    run.annotate("001.png", [LEFT, rough], by="ann@example.com", seconds=24.0)
    found = run.collect()
    assert (found.finished, found.fresh, found.changed) == (1, 1, 0)
    (row,) = run.rows().values()
    assert [
        (rle.decode(m.segmentation) == want).all()
        for m, want in zip(row.masks, [LEFT, rough], strict=True)
    ] == [True, True]
    assert (row.ref.path, row.stage, row.revision) == ("001.png", "assisted_manual", 0)
    assert {m.origin for m in row.masks} == {"human"}
    assert {(m.annotator, m.seconds, m.seconds_from) for m in row.masks} == {
        ("ann@example.com", 12.0, "task")
    }


def test_collecting_twice_changes_no_byte(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("001.png", [LEFT])
    run.collect()
    before = shard_digests(run.out)
    found = run.collect()
    assert (found.finished, found.fresh, found.changed) == (1, 0, 0)
    assert shard_digests(run.out) == before


def test_what_is_finished_later_is_added_behind(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("001.png", [LEFT])
    run.collect()
    before = shard_digests(run.out)
    run.annotate("002.png", [RIGHT])
    assert run.collect().fresh == 1
    assert before.items() < shard_digests(run.out).items()
    assert sorted(run.rows()) == ["001.png", "002.png"]


def test_a_change_becomes_a_new_record_with_its_parent_and_the_rest_stays(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    kept, corrected = make_region(LEFT), make_region(RIGHT)
    task = run.server.task_of("000.png")
    run.server.annotate(task, [kept, corrected])
    run.collect()
    first = run.rows()["000.png"]
    better = rectangle((30, 5, 20, 31), SIZE_HW)
    run.server.change(task, [kept, make_region(better, id=corrected["id"])])
    assert run.collect().changed == 1
    second = run.rows()["000.png"]
    assert second.revision == 1
    assert second.masks[0].mask_id == first.masks[0].mask_id
    assert second.masks[1].derived_from == first.masks[1].mask_id
    assert second.masks[1].edited_px == 20
    run.server.change(
        task, [make_region(RIGHT, id=kept["id"]), make_region(better, id=corrected["id"])]
    )
    run.collect()
    third = run.rows()["000.png"]
    assert third.masks[0].derived_from == first.masks[0].mask_id
    assert third.masks[1].mask_id == second.masks[1].mask_id


def test_skipped_and_empty_photos_are_told_apart_and_a_complete_one_is_marked(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.annotate("000.png", skipped=True)
    run.annotate("001.png")
    run.server.annotate(run.server.task_of("002.png"), [make_exhaustive()])
    run.collect()
    rows = run.rows()
    assert rows["000.png"].error is not None
    assert (rows["000.png"].error.type, rows["000.png"].width) == ("skipped", 64)
    assert "ann@example.com" in rows["000.png"].error.message
    assert (rows["001.png"].error, rows["001.png"].masks) == (None, ())
    assert (rows["001.png"].exhaustive, rows["002.png"].exhaustive) == (None, True)


def test_what_clicks_meant_is_no_region_of_its_own(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    mask = make_region(LEFT)
    said = mask | {"type": "labels", "from_name": "meant", "value": {"labels": ["Object (part)"]}}
    run.server.annotate(run.server.task_of("000.png"), [mask, said])
    run.collect()
    (row,) = run.rows().values()
    assert (len(row.masks), dict(row.dropped)) == (1, {})


def test_names_are_kept_and_the_plain_label_is_none(tmp_path):
    run = AssistedRun(tmp_path, names=("cup",))
    run.send()
    regions = [make_region(LEFT), make_region(RIGHT, label="cup")]
    run.server.annotate(run.server.task_of("000.png"), regions)
    run.collect()
    assert [m.category for m in run.rows()["000.png"].masks] == [None, "cup"]


@pytest.mark.parametrize(
    ("winner", "expected"), [("first", LEFT), ("latest", RIGHT), ("agreement", RIGHT)]
)
def test_of_several_annotators_the_rule_says_whose_masks_count(tmp_path, winner, expected):
    run = AssistedRun(tmp_path, photos=1, annotators=3, winner=winner)
    run.send()
    run.annotate("000.png", [LEFT], by="a@example.com")
    run.annotate("000.png", [RIGHT], by="b@example.com")
    assert run.collect().fresh == 0  # a third one is missing
    run.annotate("000.png", [RIGHT], by="c@example.com")
    run.collect()
    row = run.rows()["000.png"]
    (mask,) = row.masks
    assert (rle.decode(mask.segmentation) == expected).all()
    assert dict(row.dropped) == {"other_annotator": 2}


def test_agreement_is_the_mean_best_iou_between_people(tmp_path):
    run = AssistedRun(tmp_path, photos=1, annotators=2)
    run.send()
    run.annotate("000.png", [LEFT, RIGHT], by="a@example.com")
    run.annotate("000.png", [LEFT], by="b@example.com")
    run.collect()
    assert harvest(run.settings, open_run_of(run)).agreement == pytest.approx(2 / 3)


def test_masks_over_thirty_seconds_are_counted(tmp_path):
    run = AssistedRun(tmp_path, photos=2)
    run.send()
    run.annotate("000.png", [LEFT, RIGHT], seconds=62.0)
    run.annotate("001.png", [LEFT], seconds=30.0)
    run.collect()
    counted = harvest(run.settings, open_run_of(run))
    assert (counted.slow, counted.masks, counted.seconds) == (2, 3, 92.0)


def test_status_counts_what_people_did(tmp_path):
    run = AssistedRun(tmp_path, annotators=2)
    run.send()
    run.annotate("000.png", [LEFT])
    run.annotate("001.png", [LEFT])
    run.annotate("001.png", skipped=True)
    run.collect()
    now = server_progress(run.settings, run.connection())
    assert (now.sent, now.there, now.begun, now.finished, now.skipped) == (4, 4, 2, 1, 1)
    assert (now.waiting, now.collected) == (3, 1)

"""Whose mask a correction was made from: that person's own, as a row of the run holds it."""

from __future__ import annotations

import pyarrow.parquet as pq

from stages.records import ImageRow
from stages.schema import rows_from_table
from tests.engine.assist.runs import SIZE_HW, AssistedRun, make_region, one_task
from tests.factories import rectangle

A, B, C = (rectangle((4, 6, 10 + more, 8), SIZE_HW) for more in range(3))
ANN, BOB = "ann@example.com", "bob@example.com"


def every_revision(run: AssistedRun) -> list[ImageRow]:
    tables = (pq.read_table(path) for path in sorted((run.out / "shards").iterdir()))
    return sorted((row for table in tables for row in rows_from_table(table)), key=_revision)


def _revision(row: ImageRow) -> int:
    return row.revision


def parents(run: AssistedRun) -> list[str | None]:
    """Of the latest masks; each has to be a mask of some row."""
    rows = every_revision(run)
    known = {mask.mask_id for row in rows for mask in row.masks}
    found = [mask.derived_from for mask in rows[-1].masks]
    assert {parent for parent in found if parent} <= known
    return found


def test_a_mask_that_did_not_count_is_nobodys_parent(tmp_path):
    run, task = one_task(tmp_path, annotators=2, winner="first")
    anns, bobs = make_region(A), make_region(B)
    run.server.annotate(task, [anns], by=ANN)
    run.server.annotate(task, [bobs], by=BOB)
    run.collect()
    run.server.all_tasks[task]["annotations"][0]["was_cancelled"] = True  # Bob's count from now on
    run.server.change(task, [make_region(C, id=bobs["id"])], annotation=1)
    run.collect()
    assert parents(run) == [None]


def test_two_people_whose_regions_have_one_id_keep_their_own_parents(tmp_path):
    run, task = one_task(tmp_path, annotators=2, winner="first")
    run.server.annotate(task, [make_region(A, id="r")], by=ANN)
    run.server.annotate(task, [make_region(B, id="r")], by=BOB)
    run.collect()
    (first,) = every_revision(run)[0].masks
    run.server.change(task, [make_region(C, id="r")], annotation=0)
    run.collect()
    assert parents(run) == [first.mask_id]


def test_a_parent_is_remembered_over_a_time_in_which_the_photo_was_not_there(tmp_path):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    task, region = run.server.task_of("000.png"), make_region(A)
    run.server.annotate(task, [region])
    run.collect()
    (first,) = every_revision(run)[0].masks
    photo = run.photos / "000.png"
    photo.rename(tmp_path / "away.png")
    run.server.change(task, [make_region(B, id=region["id"])])
    run.collect()
    assert every_revision(run)[-1].error is not None
    (tmp_path / "away.png").rename(photo)
    run.server.change(task, [make_region(C, id=region["id"])])
    run.collect()
    assert parents(run) == [first.mask_id]


def test_answers_kept_by_a_call_that_was_killed_are_rows_before_they_are_parents(
    tmp_path, monkeypatch
):
    run = AssistedRun(tmp_path, photos=1)
    run.send()
    task, region = run.server.task_of("000.png"), make_region(A)
    run.server.annotate(task, [region])

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("engine.assist.collecting.make_answered_shards", killed)
        try:
            run.collect()
        except KeyboardInterrupt:
            run.server.change(task, [make_region(B, id=region["id"])])
    run.collect()
    first, _ = every_revision(run)
    assert parents(run) == [first.masks[0].mask_id]

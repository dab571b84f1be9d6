from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from model.errors import BusyError
from pipelines.lock import run_lock
from pipelines.reviews import append_reviews, has_part, read_reviews, write_reviews
from pipelines.storage import Folder
from stages.reviews import REVIEW_SCHEMA, ReviewRecord, reviews_from_table, reviews_to_table

AT = datetime(2026, 11, 24, 10, 30, 0, 250_000, UTC)
REVIEW = ReviewRecord("a" * 32, "b" * 32, "accept", "ann@example.com", 2.5, AT)


def test_reviews_survive_the_table_exactly():
    reviews = [REVIEW, replace(REVIEW, verdict="fix", seconds=None)]
    table = reviews_to_table(reviews)
    assert table.schema.equals(REVIEW_SCHEMA)
    assert list(reviews_from_table(table)) == reviews


def test_a_review_of_no_use_is_refused():
    with pytest.raises(ValueError, match="verdict is 'maybe', expected one of accept, reject, fix"):
        replace(REVIEW, verdict="maybe")
    with pytest.raises(ValueError, match="needs its time zone"):
        replace(REVIEW, at=datetime(2026, 11, 24))


def test_appending_the_same_again_adds_nothing(tmp_path):
    run = Folder(str(tmp_path))
    assert list(read_reviews(run)) == []
    assert append_reviews(run, [REVIEW]) == 1
    later = replace(REVIEW, verdict="reject", at=AT.replace(hour=11))
    assert append_reviews(run, [REVIEW, later]) == 1
    assert append_reviews(run, [REVIEW, later]) == 0
    assert list(read_reviews(run)) == [REVIEW, later]
    names = [path.name for path in (tmp_path / "reviews").iterdir()]
    assert len(names) == 2
    assert all(re.fullmatch(r"part-verify-[0-9a-f]{32}\.parquet", name) for name in names)


def test_verdicts_on_single_masks_never_stand_for_a_shards(tmp_path):
    run = Folder(str(tmp_path))
    write_reviews(run, 0, [REVIEW])
    append_reviews(run, [replace(REVIEW, verdict="reject", at=AT.replace(hour=11))])
    assert not has_part(run, 1)
    write_reviews(run, 1, [replace(REVIEW, mask_id="c" * 32)])
    assert len(list(read_reviews(run))) == 3


def test_verdicts_on_single_masks_count_after_their_shards_by_time(tmp_path):
    run = Folder(str(tmp_path))
    changes = [replace(REVIEW, seconds=float(n), at=AT.replace(minute=n)) for n in range(5)]
    for change in changes[::2] + changes[1::2]:
        append_reviews(run, [change])
    of_shards = [replace(REVIEW, annotator=name) for name in ("winner", "ann")]
    for shard in (1, 0):
        write_reviews(run, shard, [of_shards[shard]])
    assert list(read_reviews(run)) == [*of_shards, *changes]


def test_two_calls_do_not_append_at_once(tmp_path):
    run = Folder(str(tmp_path))
    with run_lock(run), pytest.raises(BusyError, match="is at work here"):
        append_reviews(run, [REVIEW])
    assert append_reviews(run, [REVIEW]) == 1
    assert append_reviews(Folder("memory://unlocked"), [REVIEW]) == 1


def test_a_part_without_reviews_says_so(tmp_path):
    run = Folder(str(tmp_path))
    assert not has_part(run, 3)
    write_reviews(run, 3, [])
    assert has_part(run, 3)

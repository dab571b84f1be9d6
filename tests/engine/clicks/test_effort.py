from __future__ import annotations

from typing import Any

from engine.clicks.effort import effort_by_region
from engine.clicks.log import ClickEntry
from stages.records import PromptRecord
from tests.engine.clicks.test_log import make_entry


def opening(at: float) -> ClickEntry:
    return make_entry(at=at, prompt=None, region_id=None, milliseconds=0.0)


def click(at: float, region: str, prompts: str, **fields: Any) -> ClickEntry:
    """An answer to the prompts named by single letters, the last one just given."""
    points = tuple((float(n), 0.0) for n in range(len(prompts)))
    prompt = PromptRecord(points_xy=points, point_labels=(1,) * len(points))
    defaults = {"region_id": region, "prompt": prompt, "milliseconds": 500.0}
    return make_entry(at=at, prompt_ids=tuple(prompts), **(defaults | fields))


def test_a_region_costs_the_time_since_the_one_before() -> None:
    log = [
        opening(100.0),
        click(104.0, "r1", "a"),
        click(110.0, "r2", "b"),
        click(112.0, "r3", "bc"),
    ]

    efforts = effort_by_region(log, {"r1", "r3", "drawn by hand"})

    assert {region: effort.seconds for region, effort in efforts.items()} == {"r1": 4.5, "r3": 8.0}
    assert {region: effort.clicks for region, effort in efforts.items()} == {"r1": 1, "r3": 2}
    assert efforts["r3"].prompt == log[3].prompt


def test_a_break_in_which_the_task_was_closed_is_no_work() -> None:
    day = 86_400.0
    log = [opening(0.0), click(5.0, "a", "a"), opening(day - 5.0), click(day, "b", "b")]

    efforts = effort_by_region(log, {"a", "b"})

    assert {region: effort.seconds for region, effort in efforts.items()} == {"a": 5.5, "b": 5.5}


def test_another_annotators_opening_does_not_shorten_ones_own_time() -> None:
    log = [
        opening(0.0),
        click(4.0, "mine", "a"),
        opening(6.0),
        click(7.0, "theirs", "x"),
        click(8.0, "me", "b"),
    ]

    assert effort_by_region(log, {"mine", "me"}, {"theirs"})["me"].seconds == 4.0
    assert effort_by_region(log, {"theirs"}, {"mine", "me"})["theirs"].seconds == 1.5


def test_tries_that_were_given_up_count_for_the_region_after_them() -> None:
    log = [opening(0.0), click(5.0, "lost", "a"), click(9.5, "kept", "b")]

    assert effort_by_region(log, {"kept"})["kept"].seconds == 10.0


def test_without_an_opening_time_begins_with_the_first_click_on_the_object() -> None:
    log = [click(50.0, "r1", "a"), click(53.0, "r2", "ab")]

    assert effort_by_region(log, {"r2"})["r2"].seconds == 3.5


def test_another_annotators_regions_do_not_shorten_ones_own() -> None:
    log = [opening(0.0), click(4.0, "mine", "a"), click(6.0, "theirs", "x"), click(8.0, "me", "b")]

    assert effort_by_region(log, {"mine", "me"})["me"].seconds == 4.0


def test_the_last_opening_before_the_work_counts() -> None:
    log = [opening(0.0), opening(1000.0), click(1002.0, "r1", "a"), opening(2000.0)]

    assert effort_by_region(log, {"r1"})["r1"].seconds == 2.5

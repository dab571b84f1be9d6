from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stages.joining import (
    BESIDE_COMPLETE,
    CORRECTED,
    NOT_SURE,
    PHOTO_CHANGED,
    REJECTED,
    SAME_MASK,
    UNDER_NEWER,
    UNDER_PEOPLES,
    JoinParameters,
    join_rows,
)
from stages.records import ImageRow, MaskRecord
from tests.factories import make_failed_row, make_mask, make_row

PARAMETERS = JoinParameters(overlap_iou=0.5, sure_predicted_iou=0.9)


def machine(left: int = 4, **fields: object) -> MaskRecord:
    return make_mask(box_xywh=(left, 6, 10, 8), **fields)


def person(left: int = 4, **fields: object) -> MaskRecord:
    return make_mask(box_xywh=(left, 6, 10, 8), origin="human", annotator="ann", **fields)


def row(*masks: MaskRecord, stage: str = "automatic", **fields: object) -> ImageRow:
    return make_row(stage=stage, masks=tuple(masks), dropped={}, **fields)


def test_a_persons_mask_wins_over_a_machines_that_overlaps_it() -> None:
    joined = join_rows(
        [row(person(), stage="assisted_manual", round=1), row(machine(5), machine(40), round=2)],
        PARAMETERS,
    )

    assert [mask.origin for mask in joined.masks] == ["human", "automatic"]
    assert joined.dropped == {UNDER_PEOPLES: 1}
    assert (joined.round, joined.stage) == (2, "assisted_manual")


def test_of_two_people_and_of_two_machines_the_newer_wins() -> None:
    people = join_rows(
        [
            row(person(4), stage="assisted_manual", round=1),
            row(person(5), stage="semi_automatic", round=2),
        ],
        PARAMETERS,
    )
    machines = join_rows([row(machine(4), round=1), row(machine(5), round=2)], PARAMETERS)

    assert [mask.bbox[0] for mask in people.masks] == [5]
    assert [mask.bbox[0] for mask in machines.masks] == [5]
    assert people.dropped == machines.dropped == {UNDER_NEWER: 1}


def test_parts_of_one_row_may_overlap_their_whole() -> None:
    whole, part = make_mask(box_xywh=(2, 2, 20, 20)), make_mask(box_xywh=(2, 2, 20, 12))

    joined = join_rows([row(whole, part)], PARAMETERS)

    assert [mask.level for mask in joined.masks] == ["whole", "part"]


def test_what_the_model_is_not_sure_of_is_left_out() -> None:
    joined = join_rows([row(machine(predicted_iou=0.5))], PARAMETERS)

    assert joined.masks == ()
    assert joined.dropped == {NOT_SURE: 1}


def test_beside_people_who_said_that_all_is_there_a_machine_adds_nothing() -> None:
    joined = join_rows(
        [row(person(), stage="assisted_manual", exhaustive=True), row(machine(40))], PARAMETERS
    )

    assert len(joined.masks) == 1
    assert joined.exhaustive
    assert joined.dropped == {BESIDE_COMPLETE: 1}


def test_corrected_and_rejected_masks_do_not_come_back() -> None:
    wrong, bad = machine(4), machine(40)
    better = person(20, derived_from=wrong.mask_id)

    joined = join_rows(
        [row(wrong, bad), row(better, stage="semi_automatic")], PARAMETERS, {bad.mask_id}
    )

    assert [mask.origin for mask in joined.masks] == ["human"]
    assert joined.dropped == {CORRECTED: 1, REJECTED: 1}


def test_a_mask_that_a_person_looked_at_counts_as_a_persons() -> None:
    shown = machine()
    looked_at = machine(annotator="ann", clicks=0, predicted_iou=0.1)

    joined = join_rows([row(shown), row(looked_at, stage="semi_automatic")], PARAMETERS)

    assert [mask.annotator for mask in joined.masks] == ["ann"]
    assert joined.dropped == {SAME_MASK: 1}


def test_masks_of_another_file_than_the_newest_rows_are_left_out() -> None:
    small = make_mask(box_xywh=(4, 6, 10, 8), size_hw=(40, 60))
    rows = [
        row(person(), machine(40), stage="assisted_manual", exhaustive=True, round=1),
        row(small, width=60, height=40, sha256="0" * 64, round=2),
    ]

    joined = join_rows(rows, PARAMETERS)

    assert joined.masks == (small,)
    assert (joined.width, joined.sha256, joined.stage) == (60, "0" * 64, "automatic")
    assert joined.exhaustive is None
    assert joined.dropped == {PHOTO_CHANGED: 2}


def test_a_photo_that_failed_in_one_round_has_the_masks_of_the_other() -> None:
    assert len(join_rows([make_failed_row("a.jpg"), row(machine())], PARAMETERS).masks) == 1
    assert join_rows([make_failed_row("a.jpg")], PARAMETERS).error is not None


MASKS = st.lists(
    st.tuples(st.integers(0, 50), st.booleans(), st.sampled_from([0.5, 0.95])), max_size=6
)


@given(st.lists(st.tuples(MASKS, st.booleans(), st.sampled_from("01")), min_size=1, max_size=3))
def test_nothing_disappears_and_no_order_of_masks_matters(rows) -> None:
    made = [
        row(
            *{
                mask.mask_id: mask
                for mask in (
                    person(left) if by_person else machine(left, predicted_iou=score)
                    for left, by_person, score in masks
                )
            }.values(),
            stage="semi_automatic",
            exhaustive=complete or None,
            round=number,
            sha256=64 * file,
        )
        for number, (masks, complete, file) in enumerate(rows)
    ]

    joined = join_rows(made, PARAMETERS)

    assert joined.proposals == sum(one.proposals for one in made)
    assert len({mask.mask_id for mask in joined.masks}) == len(joined.masks)

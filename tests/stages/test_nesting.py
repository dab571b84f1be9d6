from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import rle
from stages.nesting import nest
from stages.records import MaskRecord
from tests.factories import make_mask, rectangle

SIZE_HW = (24, 32)
BOXES = st.lists(
    st.tuples(st.integers(0, 24), st.integers(0, 16), st.integers(1, 8), st.integers(1, 8)),
    max_size=8,
    unique=True,
)


def masks_of(boxes: list[tuple[int, int, int, int]]) -> list[MaskRecord]:
    return [make_mask(rectangle(box, SIZE_HW), level=None) for box in boxes]


def test_whole_part_and_subpart_are_a_chain() -> None:
    whole, part, subpart, deeper = nest(
        masks_of([(0, 0, 20, 20), (2, 2, 12, 12), (3, 3, 6, 6), (4, 4, 2, 2)]), 0.9
    )
    assert [m.level for m in (whole, part, subpart, deeper)] == [
        "whole",
        "part",
        "subpart",
        "subpart",
    ]
    assert whole.nested_in is None
    assert part.nested_in == whole.mask_id
    assert subpart.nested_in == part.mask_id
    assert deeper.nested_in == subpart.mask_id


def test_neighbours_are_wholes() -> None:
    assert {m.level for m in nest(masks_of([(0, 0, 5, 5), (5, 0, 5, 5)]), 0.9)} == {"whole"}


def test_containment_counts_from_the_threshold_on() -> None:
    boxes = [(0, 0, 20, 20), (11, 0, 10, 4)]  # nine tenths of the second lie in the first
    assert nest(masks_of(boxes), 0.9)[1].level == "part"
    assert nest(masks_of(boxes), 0.91)[1].level == "whole"


def test_a_hole_holds_nothing() -> None:
    ring = rectangle((0, 0, 20, 20), SIZE_HW) & ~rectangle((4, 4, 12, 12), SIZE_HW)
    inside = rectangle((6, 6, 4, 4), SIZE_HW)
    assert nest([make_mask(ring), make_mask(inside)], 0.9)[1].nested_in is None


def test_no_masks_nest_to_none() -> None:
    assert nest([], 0.9) == ()


@settings(deadline=None)
@given(BOXES, st.randoms(use_true_random=False))
def test_result_keeps_the_order_and_does_not_depend_on_it(
    boxes: list[tuple[int, int, int, int]], shuffler: random.Random
) -> None:
    masks = masks_of(boxes)
    nested = nest(masks, 0.9)
    assert [m.mask_id for m in nested] == [m.mask_id for m in masks]
    shuffled = shuffler.sample(masks, len(masks))
    assert set(nest(shuffled, 0.9)) == set(nested)


@settings(deadline=None)
@given(BOXES)
def test_the_parent_is_the_smallest_mask_that_holds_enough(
    boxes: list[tuple[int, int, int, int]],
) -> None:
    masks = masks_of(boxes)
    pixels = {m.mask_id: rle.decode(m.segmentation) for m in masks}
    rank = {m.mask_id: (-m.area, m.mask_id) for m in masks}
    for mask in nest(masks, 0.9):
        inside = pixels[mask.mask_id]
        holders = [
            other
            for other in masks
            if rank[other.mask_id] < rank[mask.mask_id]
            and np.count_nonzero(inside & pixels[other.mask_id]) >= 0.9 * mask.area
        ]
        smallest = max(holders, key=lambda m: rank[m.mask_id], default=None)
        assert mask.nested_in == (smallest and smallest.mask_id)

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.exports.numbers import UNNAMED, Numbers
from model.errors import MaskEngineError
from tests.factories import make_mask, make_row


def test_photos_and_masks_count_from_one_in_the_order_of_their_ids(photo_rows):
    numbers = Numbers.of(photo_rows)
    by_id = sorted(photo_rows, key=lambda row: row.ref.image_id)
    assert [numbers.image(row) for row in by_id] == [1, 2, 3, 4, 5]
    expected = [mask for row in by_id for mask in sorted(m.mask_id for m in row.masks)]
    found = {mask: number for row in photo_rows for mask, number in numbers.masks(row).items()}
    assert sorted(found, key=found.__getitem__) == expected
    assert sorted(found.values()) == list(range(1, len(expected) + 1))


def test_the_order_of_the_rows_does_not_matter(photo_rows):
    forward, backward = Numbers.of(photo_rows), Numbers.of(photo_rows[::-1])
    assert [forward.masks(row) for row in photo_rows] == [backward.masks(row) for row in photo_rows]


def test_a_photo_that_came_later_has_no_number(photo_rows):
    assert Numbers.of(photo_rows).image(make_row("later.jpg")) is None
    assert Numbers.of([]).image(photo_rows[0]) is None


def test_a_photo_whose_masks_changed_meanwhile_is_refused(photo_rows):
    numbers = Numbers.of(photo_rows)
    more = (*photo_rows[1].masks, make_mask(box_xywh=(1, 1, 3, 3)))
    with pytest.raises(MaskEngineError, match="changed while the run was being read"):
        numbers.masks(replace(photo_rows[1], masks=more))


def test_categories_are_the_names_in_use(photo_rows):
    assert Numbers.of(photo_rows).categories == (UNNAMED, "wheel")

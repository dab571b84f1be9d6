from __future__ import annotations

import random

from engine.report.sample import PhotoSample
from tests.factories import make_failed_row, make_row


def drawn(rows, size):
    sample = PhotoSample(size)
    for row in rows:
        sample.add(row)
    return [row.ref.path for row in sample.rows()]


def test_the_draw_does_not_depend_on_the_order():
    rows = [make_row(f"{i:03}.jpg") for i in range(60)]
    shuffled = random.Random(1).sample(rows, len(rows))
    assert drawn(rows, 7) == drawn(shuffled, 7)
    assert len(drawn(rows, 7)) == 7


def test_all_photos_are_shown_where_there_are_few_in_order_of_their_paths():
    rows = [make_row(f"{i}.jpg") for i in (3, 1, 2)]
    assert drawn(rows, 10) == ["1.jpg", "2.jpg", "3.jpg"]


def test_photos_with_masks_go_first_and_failed_ones_never():
    rows = [
        make_failed_row(),
        *(make_row(f"empty {i}.jpg", masks=()) for i in range(20)),
        make_row("full.jpg"),
    ]
    assert "full.jpg" in drawn(rows, 2)
    assert len(drawn(rows, 30)) == 21
    assert drawn(rows, 0) == []

from __future__ import annotations

from engine.report.tally import (
    MAX_FAILURES_LISTED,
    SCORE_BINS,
    SIZE_BINS,
    Tally,
    score_bin,
    size_bin,
)
from tests.factories import make_failed_row, make_mask, make_row


def test_everything_is_counted_once(photo_rows):
    tally = Tally()
    for row in photo_rows:
        tally.add(row)
    assert (tally.images, tally.masks, tally.failed) == (5, 6, 1)
    assert tally.masks_per_image == {3: 1, 1: 3}
    assert tally.levels == {"whole": 5, "part": 1}
    assert tally.proposals == tally.masks + sum(tally.dropped.values()) == 26
    assert sum(tally.predicted_iou) == sum(tally.stability_score) == sum(tally.sizes) == 6
    assert tally.mean_masks == 6 / 4


def test_failures_are_listed_up_to_a_limit_and_all_counted():
    tally = Tally()
    for i in range(MAX_FAILURES_LISTED + 3):
        tally.add(make_failed_row(f"{i}.jpg"))
    assert len(tally.failures) == MAX_FAILURES_LISTED
    assert tally.failed == MAX_FAILURES_LISTED + 3
    assert tally.mean_masks == 0


def test_masks_without_scores_are_in_no_score_histogram():
    tally = Tally()
    mask = make_mask(origin="human", predicted_iou=None, stability_score=None, level=None)
    tally.add(make_row(masks=(mask,)))
    assert sum(tally.predicted_iou) == 0
    assert tally.levels == {"none": 1}


def test_bins_hold_their_ends():
    assert (score_bin(-0.1), score_bin(0), score_bin(1), score_bin(1.3)) == (
        0,
        0,
        SCORE_BINS - 1,
        SCORE_BINS - 1,
    )
    assert (size_bin(0), size_bin(1e-9), size_bin(1)) == (0, 0, SIZE_BINS - 1)
    assert size_bin(0.0101) - size_bin(0.00101) == SIZE_BINS // 6

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from engine.report.charts import (
    MAX_COUNT_BINS,
    Bars,
    compact,
    count_bars,
    drop_order,
    histogram_svg,
    percent,
    score_bars,
    shares_html,
    size_bars,
    waterfall_html,
)
from engine.report.tally import SCORE_BINS, SIZE_BINS, score_bin, size_bin


def test_score_bars_start_below_the_lowest_score_that_occurs():
    counts = [0] * SCORE_BINS
    counts[score_bin(0.88)] = 3
    bars = score_bars(counts)
    assert sum(bars.counts) == 3
    assert len(bars.counts) < SCORE_BINS
    assert bars.labels[bars.counts.index(3)] == "0.875 to 0.900"
    assert bars.ticks[-1] == (len(bars.counts), "1.00")


def test_size_bars_label_decades():
    counts = [0] * SIZE_BINS
    counts[size_bin(0.005)] = 2
    bars = size_bars(counts)
    assert [text for _, text in bars.ticks] == ["0.1 %", "1 %", "10 %", "100 %"]
    assert sum(bars.counts) == 2


def test_counts_share_bars_where_there_are_many():
    bars = count_bars({0: 1, 3: 2, 999: 4})
    assert len(bars.counts) <= MAX_COUNT_BINS
    assert sum(bars.counts) == 7
    assert bars.labels[0] == "0 to 49 masks"
    assert count_bars({2: 5}).labels == ["0 masks", "1 masks", "2 masks"]


def test_an_svg_is_well_formed_and_has_a_bar_for_each_bin():
    bars = Bars([1, 0, 5], ["a", "<b>", "c"], [(0.0, "0"), (3.0, "3")])
    svg = histogram_svg(bars, title='"quoted" & <tagged>', unit="photos")
    root = ElementTree.fromstring(svg)
    rects = [e for e in root.iter() if e.get("class") == "bar"]
    assert len(rects) == 3
    heights = [float(rect.get("height")) for rect in rects]
    assert heights[1] == 0
    assert heights[2] > heights[0] > 0


def test_nothing_to_show_is_said():
    assert "nothing to show" in histogram_svg(Bars([0], ["a"], []), title="t", unit="u")
    assert "no proposals" in waterfall_html(0, {}, 0)
    assert "not measured" in shares_html({})


def test_the_waterfall_goes_down_from_proposals_to_kept():
    html = waterfall_html(100, {"too_small": 10, "below_stability": 30, "new reason": 5}, 55)
    labels = re.findall(r'fall-label">([^<]+)<', html)
    assert labels == ["proposals", "below stability", "too small", "new reason", "kept"]
    starts = [float(text) for text in re.findall(r"left:([\d.]+)%", html)]
    assert starts == [0, 70, 60, 55, 0]


def test_reasons_keep_the_order_of_the_stage():
    dropped = {"zzz": 1, "duplicate_in_crop": 2, "below_predicted_iou": 3, "aaa": 4, "empty": 0}
    assert drop_order(dropped) == ["below_predicted_iou", "duplicate_in_crop", "aaa", "zzz"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1234, "1.2k"), (34_000, "34k"), (999_960, "1.0M"), (5.62e6, "5.6M")],
)
def test_large_numbers_are_short(number, text):
    assert compact(number) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (0.0001, "&lt;0.1 %"), (0.0123, "1.2 %"), (0.5, "50 %"), (1, "100 %")],
)
def test_shares_never_round_something_to_nothing(share, text):
    assert percent(share) == text

"""Small charts as inline SVG and HTML; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from engine.report.tally import BINS_PER_DECADE, SCORE_BINS, SIZE_BINS, SIZE_DECADES
from stages.gates import DROP_REASONS

WIDTH: Final = 520
HEIGHT: Final = 200
LEFT: Final = 44
BOTTOM: Final = 26
TOP: Final = 10
MAX_COUNT_BINS: Final = 48
BIN_STEPS: Final = (1, 2, 5)
AXIS_STEPS: Final = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Bars:
    """A histogram ready to be drawn.

    Attributes:
        counts: one a bar.
        labels: what each bar stands for, for its tooltip.
        ticks: (position in bars from 0 to `len(counts)`, text) under the axis.
    """

    counts: Sequence[int]
    labels: Sequence[str]
    ticks: Sequence[tuple[float, str]]


def score_bars(counts: Sequence[int]) -> Bars:
    """Bars over the scores that occur, with a little room below them."""
    first = next((index for index, count in enumerate(counts) if count), 0)
    start = min(max(0, (first - 2) // 4 * 4), SCORE_BINS - 8)
    width = 1 / SCORE_BINS
    labels = [f"{i * width:.3f} to {(i + 1) * width:.3f}" for i in range(start, SCORE_BINS)]
    step = 4 if SCORE_BINS - start > 16 else 2
    ticks = [(float(i - start), f"{i * width:.2f}") for i in range(start, SCORE_BINS + 1, step)]
    return Bars(counts[start:], labels, ticks)


def size_bars(counts: Sequence[int]) -> Bars:
    """Bars over the share of the photo, each decade the same width."""
    first = next((index for index, count in enumerate(counts) if count), 0)
    start = min(first // BINS_PER_DECADE, SIZE_DECADES - 2) * BINS_PER_DECADE
    labels = [f"{_share(i)} to {_share(i + 1)} of the photo" for i in range(start, SIZE_BINS)]
    ticks = [(float(i - start), _share(i)) for i in range(start, SIZE_BINS + 1, BINS_PER_DECADE)]
    return Bars(counts[start:], labels, ticks)


def count_bars(photos_by_masks: Mapping[int, int]) -> Bars:
    """Bars over the number of masks a photo has, several numbers a bar where there are many."""
    most = max(photos_by_masks, default=0)
    width = _round_up(math.ceil((most + 1) / MAX_COUNT_BINS))
    bins = most // width + 1
    counts = [0] * bins
    for masks, photos in photos_by_masks.items():
        counts[masks // width] += photos
    labels = [_range_label(i * width, width) for i in range(bins)]
    step = max(1, round(bins / 6))
    middle = 0.5 if width == 1 else 0.0
    ticks = [(i + middle, str(i * width)) for i in range(0, bins, step)]
    return Bars(counts, labels, ticks)


def histogram_svg(bars: Bars, *, title: str, unit: str) -> str:
    """An SVG of the bars with a count axis; each bar tells its numbers when pointed at."""
    if not any(bars.counts):
        return '<p class="empty">nothing to show</p>'
    top = _round_up(max(bars.counts), AXIS_STEPS)
    slot = (WIDTH - LEFT) / len(bars.counts)
    plot = HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title, quote=True)}">'
    ]
    for share in (0.0, 0.5, 1.0):
        y = TOP + plot * (1 - share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if share * top == int(share * top):
            parts.append(
                f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{compact(share * top)}</text>"
            )
    for index, (count, label) in enumerate(zip(bars.counts, bars.labels, strict=True)):
        parts.append(_bar(index, count, label, unit, slot=slot, scale=plot / top))
    for position, text in bars.ticks:
        x = LEFT + position * slot
        anchor = "end" if x > WIDTH - 12 else "middle"
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )
    return "".join(parts) + "</svg>"


def waterfall_html(proposals: int, dropped: Mapping[str, int], kept: int) -> str:
    """From all proposals, reason by reason, to what was kept."""
    if not proposals:
        return '<p class="empty">no proposals</p>'
    rows = [_fall("proposals", proposals, 0, proposals, proposals, "all")]
    left = proposals
    for reason in drop_order(dropped):
        count = dropped[reason]
        left -= count
        rows.append(_fall(reason.replace("_", " "), count, left, count, proposals, "drop"))
    rows.append(_fall("kept", kept, 0, kept, proposals, "kept"))
    return f'<div class="fall">{"".join(rows)}</div>'


def shares_html(values: Mapping[str, float], *, form: str = "{:.1f} s") -> str:
    """Horizontal bars of the parts of a whole, largest first."""
    total = sum(values.values())
    if total <= 0:
        return '<p class="empty">not measured</p>'
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        _strip(name.replace("_", " "), form.format(value), 0, value / total, "step", value / total)
        for name, value in ordered
    ]
    return f'<div class="fall">{"".join(rows)}</div>'


def drop_order(dropped: Mapping[str, int]) -> list[str]:
    """The reasons that occur, in the order of the stage, unknown ones by name at the end."""
    known = [reason for reason in DROP_REASONS if dropped.get(reason)]
    return known + sorted(r for r in dropped if dropped[r] and r not in DROP_REASONS)


def compact(number: float) -> str:
    """`950`, `1.2k`, `34k`, `5.6M`."""
    for limit, divisor, unit in ((1e3, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if number < limit * 0.9995:
            value = number / divisor
            return (
                f"{value:.1f}{unit}" if unit and value < 10 and value % 1 else f"{value:.0f}{unit}"
            )
    return f"{number / 1e9:.1f}G"


def _bar(index: int, count: int, label: str, unit: str, *, slot: float, scale: float) -> str:
    height = max(count * scale, 1.5 if count else 0.0)
    x = LEFT + index * slot + slot * 0.08
    y = HEIGHT - BOTTOM - height
    return (
        f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{slot * 0.84:.1f}" '
        f'height="{height:.1f}" rx="1"><title>{escape(label)}: {count:,} {escape(unit)}</title>'
        "</rect>"
    )


def _fall(label: str, count: int, start: int, length: int, whole: int, kind: str) -> str:
    return _strip(label, f"{count:,}", start / whole, length / whole, kind, count / whole)


def _strip(label: str, value: str, start: float, length: float, kind: str, share: float) -> str:
    return (
        f'<div class="fall-row {kind}"><span class="fall-label">{escape(label)}</span>'
        f'<span class="track"><i style="left:{start:.3%};width:max({length:.3%},2px)"></i></span>'
        f'<span class="fall-count">{escape(value)}</span>'
        f'<span class="fall-share">{percent(share)}</span></div>'
    )


def percent(share: float) -> str:
    """`12 %`, `0.4 %`; never rounds something to nothing."""
    if 0 < share < 0.0005:
        return "&lt;0.1 %"
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def _share(bin_edge: int) -> str:
    percent_value = 100 * 10 ** (bin_edge / BINS_PER_DECADE - SIZE_DECADES)
    return f"{percent_value:.3g} %" if percent_value >= 0.001 else f"{percent_value:.1g} %"


def _range_label(start: int, width: int) -> str:
    return f"{start} masks" if width == 1 else f"{start} to {start + width - 1} masks"


def _round_up(number: int, steps: Sequence[int] = BIN_STEPS) -> int:
    """The next of the steps, ten times the steps, and so on."""
    magnitude = 1
    while True:
        for step in steps:
            if number <= step * magnitude:
                return step * magnitude
        magnitude *= 10

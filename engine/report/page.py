"""The report: one HTML file that fetches nothing and works from `file://`."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final

from engine.console import counted
from engine.report.charts import (
    compact,
    count_bars,
    histogram_svg,
    score_bars,
    shares_html,
    size_bars,
    waterfall_html,
)
from engine.report.facts import RunFacts
from engine.report.gallery import gallery_json
from engine.report.tally import MAX_FAILURES_LISTED, Tally

_SLOT: Final = re.compile(r"\{\{(\w+)\}\}")


def render_page(facts: RunFacts, tally: Tally, photos: list[dict[str, Any]]) -> str:
    """The whole page.

    Args:
        facts: of the run.
        tally: of all its rows.
        photos: from `gallery.gallery_photos`, a sample.
    """
    script = _asset("drawing.js") + _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    slots = {
        "style": _asset("page.css"),
        "script": script,
        # The browser runs this script and no other, whatever a photo's name holds.
        "script_hash": f"sha256-{digest}",
        "data": gallery_json(photos),
        "title": escape(facts.name),
        "subtitle": _subtitle(facts),
        "state": _state(facts, tally),
        "state_kind": "finished" if facts.finished else "partial",
        "tiles": _tiles(facts, tally),
        "gallery_note": _gallery_note(tally, photos),
        "numbers_note": f"All {counted(tally.images, 'photo')} of the run.",
        "charts": _charts(tally),
        "drops_note": _drops_note(tally),
        "waterfall": waterfall_html(tally.proposals, tally.dropped, tally.masks),
        "failures_note": _failures_note(tally),
        "failures": _failures(tally),
        "run_note": f"<code>{escape(facts.address)}</code>",
        "steps": shares_html(facts.seconds_by_step),
        "settings": _settings(facts.settings),
        "footer": "Made by mask-engine. This file holds everything it shows; nothing is fetched.",
    }
    return _filled(_asset("page.html"), slots)


def _filled(template: str, slots: Mapping[str, str]) -> str:
    """Fills every slot in one pass, so that no value is ever read as a template."""
    return _SLOT.sub(lambda match: slots[match[1]], template)


def _asset(name: str) -> str:
    return files("engine.report").joinpath(name).read_text(encoding="utf-8")


def _subtitle(facts: RunFacts) -> str:
    wanted = ("source", "checkpoint", "preset", "begun")
    known = dict(facts.settings)
    parts = [f"{key} {known[key]}" for key in wanted if key in known]
    return escape(" · ".join(parts))


def _state(facts: RunFacts, tally: Tally) -> str:
    if facts.finished:
        return f"finished, {counted(tally.images, 'photo')}"
    return f"partial: {tally.images:,} of {counted(facts.photos_planned, 'photo')} so far"


def _tiles(facts: RunFacts, tally: Tally) -> str:
    tiles = [
        (compact(tally.images), "photos", ""),
        (compact(tally.masks), "masks", ""),
        (f"{tally.mean_masks:.1f}", "masks a photo", ""),
        (_share_kept(tally), "of the proposals kept", ""),
        (compact(tally.failed), "photos failed", "alarm" if tally.failed else ""),
    ]
    if facts.images_per_second is not None:
        tiles.append((_speed(facts.images_per_second), "photos a second", ""))
    return "".join(
        f'<div class="tile {kind}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for value, label, kind in tiles
    )


def _share_kept(tally: Tally) -> str:
    return f"{tally.masks / tally.proposals:.1%}".replace("%", " %") if tally.proposals else "none"


def _speed(images_per_second: float) -> str:
    return f"{images_per_second:.2f}" if images_per_second < 10 else f"{images_per_second:.0f}"


def _gallery_note(tally: Tally, photos: list[dict[str, Any]]) -> str:
    readable = tally.images - tally.failed
    if not readable:
        return "No photo could be read."
    if len(photos) < readable:
        drawn = f"{counted(len(photos), 'photo')} of {readable:,}, a fair draw."
    else:
        drawn = f"All {counted(len(photos), 'photo')}."
    grey = sum(1 for photo in photos if photo["trouble"])
    missing = f" {counted(grey, 'photo')} could not be shown: masks on grey." if grey else ""
    return f"{drawn}{missing} Point at a mask for its scores, click a photo to see it large."


def _charts(tally: Tally) -> str:
    charts: Iterable[tuple[str, str]] = (
        (
            "Masks a photo",
            histogram_svg(count_bars(tally.masks_per_image), title="Masks a photo", unit="photos"),
        ),
        (
            "Predicted IoU",
            histogram_svg(score_bars(tally.predicted_iou), title="Predicted IoU", unit="masks"),
        ),
        (
            "Stability",
            histogram_svg(score_bars(tally.stability_score), title="Stability", unit="masks"),
        ),
        (
            "Size, as a share of the photo",
            histogram_svg(size_bars(tally.sizes), title="Size of the masks", unit="masks"),
        ),
    )
    return "".join(f'<div class="panel"><h3>{title}</h3>{svg}</div>' for title, svg in charts)


def _drops_note(tally: Tally) -> str:
    if not tally.proposals:
        return "Nothing was proposed."
    return (
        f"{counted(tally.proposals, 'proposal')} = {tally.masks:,} kept + "
        f"{sum(tally.dropped.values()):,} dropped, each for one reason."
    )


def _failures_note(tally: Tally) -> str:
    if not tally.failed:
        return "None: every photo could be read."
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in tally.failure_kinds.most_common())
    more = tally.failed - len(tally.failures)
    beyond = f" The first {MAX_FAILURES_LISTED} of {tally.failed:,} are listed." if more else ""
    return escape(f"{counted(tally.failed, 'photo')}: {kinds}.{beyond}")


def _failures(tally: Tally) -> str:
    if not tally.failures:
        return ""
    rows = "".join(
        f"<tr><td>{escape(failure.path)}</td><td class='kind'><code>{escape(failure.kind)}</code>"
        f"</td><td>{escape(failure.message)}</td></tr>"
        for failure in tally.failures
    )
    head = "<tr><th>photo</th><th>kind</th><th>what happened</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _settings(settings: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in settings)
    return f'<div class="scroll settings"><table><tbody>{rows}</tbody></table></div>'

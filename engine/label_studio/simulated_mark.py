"""How a region says that no person made it: a line in the note that the page shows beside it.

The line names the annotator and the region's pixels as they were. A person who changes them later
changes the line's truth: then the region is theirs, and the line counts no more.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.label_studio.brush import decode_brush
from engine.label_studio.outline import filled, points_of
from stages import rle

SIMULATED_NOTE: Final = "simulated by mask-engine"
_LINE: Final = re.compile(
    rf"{SIMULATED_NOTE}(?: as (?P<name>.+?))?(?: \[(?P<digest>[0-9a-f]{{16}})\])?"
)

_MOST_PIXELS: Final = 10**9

Json = Mapping[str, Any]


def with_mark(region: Json, name: str) -> dict[str, Any]:
    """The region, marked.

    Args:
        region: as it is submitted.
        name: of the simulated annotator, as records have it.
    """
    line = f"{SIMULATED_NOTE} as {name} [{_digest(region)}]"
    return {**region, "meta": {"text": [line]}}


def is_marked(region: Json) -> bool:
    """Whether a simulated annotator made the region as it is."""
    return _mark(region) is not None


def simulated_by(regions: Iterable[Json], otherwise: str) -> str:
    """The simulated annotator that the first mark names, or a person's name where none does."""
    names = (mark["name"] for mark in map(_mark, regions) if mark is not None)
    return next((name for name in names if name), otherwise)


def _mark(region: Json) -> re.Match[str] | None:
    """The mark that counts; one from before marks had a digest always does."""
    meta = region.get("meta")
    notes = meta.get("text") if isinstance(meta, Mapping) else None
    lines = [notes] if isinstance(notes, str) else notes if isinstance(notes, list) else []
    found = next((m for m in map(_LINE.fullmatch, map(str, lines)) if m is not None), None)
    if found is None or found["digest"] in {None, _digest(region)}:
        return found
    return None


def _digest(region: Json) -> str:
    """Of the pixels, however they are written; of a region without any, of what it says."""
    text = json.dumps(_content(region), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _content(region: Json) -> Any:
    value = region.get("value")
    try:
        size_hw = int(region["original_height"]), int(region["original_width"])
        if size_hw[0] * size_hw[1] > _MOST_PIXELS:
            return value
        if region.get("type") == "brushlabels":
            return rle.encode(decode_brush(region["value"]["rle"], size_hw)).counts
        if region.get("type") == "polygonlabels":
            return rle.encode(filled(points_of(region), size_hw)).counts
    except (LookupError, TypeError, ValueError, OverflowError):
        return value
    return value

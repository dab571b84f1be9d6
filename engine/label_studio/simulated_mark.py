"""How a region says that no person made it: a line in the note that the page shows beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SIMULATED_NOTE: Final = "simulated by mask-engine"


def with_mark(region: Mapping[str, Any]) -> dict[str, Any]:
    """The region, marked."""
    return {**region, "meta": {"text": [SIMULATED_NOTE]}}


def is_marked(region: Mapping[str, Any]) -> bool:
    """Whether a simulated annotator made the region."""
    meta = region.get("meta")
    notes = meta.get("text") if isinstance(meta, Mapping) else None
    return SIMULATED_NOTE in notes if isinstance(notes, list | str) else False

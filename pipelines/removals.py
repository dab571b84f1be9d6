"""What was taken out of a run or an engine for good: `removals.jsonl` in its folder.

A line is written before anything is changed. So a removal that was killed is known to be under
way, and what is on the list does not come back: who plans, joins, imports or collects looks here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from model.errors import ConfigurationError
from pipelines.storage import Folder
from stages.records import ImageRow

REMOVALS_FILE: Final = "removals.jsonl"
# The kind of error of a row that stands where a removed photo was, and the reason of its drops.
REMOVED: Final = "removed"


@dataclass(frozen=True)
class Removal:
    """One photo that was taken out.

    Attributes:
        image_id: which photo.
        masks: that it had here.
        reason: in the words of who asked for it.
        at: when, in UTC.
    """

    image_id: str
    masks: int
    reason: str
    at: str


def read_removals(folder: Folder) -> Mapping[str, Removal]:
    """All removals by the photo's id, the oldest first; none where there is no list.

    Raises:
        ConfigurationError: if the list is damaged: nothing that it forbids must come back.
    """
    if not folder.exists(REMOVALS_FILE):
        return {}
    found: dict[str, Removal] = {}
    for number, line in enumerate(folder.read(REMOVALS_FILE).decode().splitlines(), start=1):
        try:
            removal = Removal(**json.loads(line))
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"{folder.address}/{REMOVALS_FILE}: line {number} is no removal that this version "
                "wrote, so nobody can say which photos must not come back. Nothing was touched; "
                "mend the line."
            ) from None
        found[removal.image_id] = removal
    return found


def removed_ids(folder: Folder) -> frozenset[str]:
    """Ids of all photos that were taken out."""
    return frozenset(read_removals(folder))


def is_removed(row: ImageRow) -> bool:
    """Whether a row stands where a removed photo was."""
    return row.error is not None and row.error.type == REMOVED


def note_removal(folder: Folder, removal: Removal) -> None:
    """Puts a photo on the list, behind all others."""
    before = folder.read(REMOVALS_FILE) if folder.exists(REMOVALS_FILE) else b""
    folder.write(REMOVALS_FILE, before + (json.dumps(asdict(removal)) + "\n").encode())

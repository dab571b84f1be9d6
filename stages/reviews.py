"""Verdicts on masks: a table of its own beside the shards, which only ever grows (SCHEMA: Reviews).

A person who finds a mask right as it is makes no new mask; they make a review.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from stages.columns import ENUM

ACCEPT: Final = "accept"
REJECT: Final = "reject"
FIX: Final = "fix"
VERDICTS: Final = (ACCEPT, REJECT, FIX)

REVIEW_SCHEMA: Final = pa.schema(
    [
        pa.field("mask_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("verdict", ENUM, nullable=False),
        pa.field("annotator", pa.string(), nullable=False),
        pa.field("seconds", pa.float32()),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


@dataclass(frozen=True)
class ReviewRecord:
    """One person's verdict on one mask.

    Attributes:
        mask_id, image_id: which mask, of which photo.
        verdict: `accept` it, `reject` it, or `fix` it (it is there, but not right as it stands).
        annotator: who says so.
        seconds: that looking took; None where nobody measured this mask alone.
        at: when, with its time zone.
    """

    mask_id: str
    image_id: str
    verdict: str
    annotator: str
    seconds: float | None
    at: datetime

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(
                f"verdict is {self.verdict!r}, expected one of {', '.join(VERDICTS)}: mask "
                f"{self.mask_id}"
            )
        if self.at.tzinfo is None:
            raise ValueError(f"mask {self.mask_id}: the time of a review needs its time zone")
        if self.seconds is not None and not math.isfinite(self.seconds):
            raise ValueError(f"mask {self.mask_id}: seconds is {self.seconds}, not finite")


def reviews_to_table(reviews: Iterable[ReviewRecord]) -> pa.Table:
    """Builds the table, rows in the order given."""
    names = REVIEW_SCHEMA.names
    rows = [{name: getattr(review, name) for name in names} for review in reviews]
    return pa.Table.from_pylist(rows, schema=REVIEW_SCHEMA)


def reviews_from_table(table: pa.Table) -> Iterator[ReviewRecord]:
    """Yields the rows of such a table."""
    for row in table.to_pylist():
        yield ReviewRecord(**{**row, "at": row["at"].astimezone(UTC)})

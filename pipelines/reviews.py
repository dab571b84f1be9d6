"""The reviews of a run's masks: `reviews/part-*.parquet` in its folder, append-only.

A part appears whole or not at all. Who writes the same part again changes nothing, so a collection
that was killed is simply repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

import pyarrow.parquet as pq

from pipelines.lock import run_lock
from pipelines.parquet_reading import read_table
from pipelines.storage import Folder
from stages.reviews import ReviewRecord, reviews_from_table, reviews_to_table

REVIEWS: Final = "reviews"
VERIFIED: Final = "verify"


def part_name(key: int | str) -> str:
    """Name of a part: of a shard's number, or of another key (letters, digits, hyphens)."""
    shown = f"{key:05d}" if isinstance(key, int) else key
    return f"{REVIEWS}/part-{shown}.parquet"


def has_part(run: Folder, key: int | str) -> bool:
    """Whether a part was written."""
    return run.exists(part_name(key))


def write_reviews(run: Folder, key: int | str, reviews: Sequence[ReviewRecord]) -> None:
    """Writes a part, which may hold no review at all: then it says that there was none."""
    with run.writing(part_name(key)) as file:
        pq.write_table(reviews_to_table(reviews), file, compression="zstd")


def append_reviews(run: Folder, reviews: Sequence[ReviewRecord]) -> int:
    """Writes those that are not there yet as a new part; returns how many.

    A review is the same if mask, person and time are. The part is named by what it holds, never by
    a number: a number says that the shard of that number has its reviews.

    Raises:
        BusyError: if another process changes the run.
    """
    with run_lock(run):
        known = {_identity(review) for review in read_reviews(run)}
        new = [review for review in reviews if _identity(review) not in known]
        if new:
            write_reviews(run, f"{VERIFIED}-{_digest(new)}", new)
    return len(new)


def read_reviews(run: Folder) -> Iterator[ReviewRecord]:
    """All reviews of a run, in the order in which they count: the last one on a mask holds.

    Those of shards come first, in their shards' order, which is not one of time: who won a photo
    comes last. Verdicts on single masks follow by their time; their parts' names say none.
    """
    names = [name for name in sorted(run.names(REVIEWS)) if name.endswith(".parquet")]
    verified = [name for name in names if name.startswith(f"part-{VERIFIED}-")]
    for name in names:
        if name not in verified:
            yield from _reviews_of_part(run, name)
    later = (review for name in verified for review in _reviews_of_part(run, name))
    yield from sorted(later, key=lambda review: review.at)


def forget_reviews(run: Folder, image_id: str) -> None:
    """Takes the reviews of a photo's masks out; their parts stay, so none is made again."""
    for name in run.names(REVIEWS):
        reviews = _reviews_of_part(run, name)
        kept = [review for review in reviews if review.image_id != image_id]
        if len(kept) < len(reviews):
            with run.writing(f"{REVIEWS}/{name}") as file:
                pq.write_table(reviews_to_table(kept), file, compression="zstd")


def _reviews_of_part(run: Folder, name: str) -> list[ReviewRecord]:
    with run.open(f"{REVIEWS}/{name}") as file:
        return list(reviews_from_table(read_table(file)))


def _digest(reviews: Sequence[ReviewRecord]) -> str:
    text = json.dumps([asdict(review) for review in reviews], default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _identity(review: ReviewRecord) -> tuple[object, ...]:
    return review.mask_id, review.annotator, review.at

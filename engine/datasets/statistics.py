"""What a data set holds, in numbers: one pass over its rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.evaluation.measures import size_class
from pipelines.shards import read_rows
from stages.joining import is_peoples


def statistics(run: str) -> dict[str, Any]:
    """Photos, masks, masks by who made them, size, level, and photos by their newest round."""
    counts: Counter[str] = Counter()
    by: dict[str, Counter[str]] = {name: Counter() for name in ("origin", "size", "level", "model")}
    photos_by: dict[str, Counter[str]] = {"newest_round": Counter(), "stage": Counter()}
    for row in read_rows(run, columns=["masks", "round", "exhaustive"]):
        if row.error is not None:
            counts["photos_without_row"] += 1
            continue
        counts["photos"] += 1
        counts["photos_said_to_be_complete"] += bool(row.exhaustive)
        photos_by["newest_round"][str(row.round)] += 1
        photos_by["stage"][row.stage] += 1
        for mask in row.masks:
            counts["masks"] += 1
            counts["masks_by_people"] += is_peoples(mask)
            counts["clicks"] += mask.clicks or 0
            by["origin"][mask.origin] += 1
            by["size"][size_class(mask.area)] += 1
            by["level"][mask.level or "none"] += 1
            by["model"][mask.model_id or "none"] += 1
    return {
        **{name: int(count) for name, count in sorted(counts.items())},
        "masks_a_photo": round(counts["masks"] / max(1, counts["photos"]), 2),
        **{f"by_{name}": dict(sorted(counter.items())) for name, counter in by.items()},
        **{f"photos_by_{name}": dict(sorted(c.items())) for name, c in photos_by.items()},
    }

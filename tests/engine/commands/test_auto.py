"""What `mask-engine auto` tells at the end."""

from __future__ import annotations

from engine.commands.auto import summary_lines
from pipelines.summary import Summary


def summary_of(**changes: object) -> Summary:
    plain: dict[str, object] = {
        "source": "photos",
        "source_name": "photos",
        "checkpoint": "starter",
        "model_id": "0" * 16,
        "images": 5,
        "shards": 2,
        "masks": 40,
        "failed": 1,
        "failures": {"truncated": 1},
        "proposals": 100,
        "dropped": {"empty": 60},
        "seconds": {"decode": 6.0, "embed": 1.5, "read": 0.5},
        "elapsed_seconds": 4.0,
        "images_per_second": 1.25,
        "masks_per_second": 10.0,
        "thresholds": None,
        "peak_memory_bytes": 10**9,
        "hardware": {},
        "workers": 2,
        "threads": 1,
        "device": "cpu",
        "finished": "2026-11-24T00:00:00Z",
    }
    return Summary.model_validate(plain | changes)


def test_a_photo_s_cost_is_told_by_step_the_dearest_first() -> None:
    lines = summary_lines(summary_of())
    told = [line.split() for line in lines[lines.index("seconds a photo, 2.00 in all") + 1 :]]
    assert told == [
        ["decode", "1.500", "75%"],
        ["embed", "0.375", "19%"],
        ["read", "0.125", "6%"],
    ]


def test_workers_and_threads_are_told() -> None:
    told = {tuple(line.split()) for line in summary_lines(summary_of())}
    assert ("workers", "2", "with", "1", "thread", "each") in told
    alone = {tuple(line.split()) for line in summary_lines(summary_of(workers=1, threads=2))}
    assert ("workers", "1", "with", "2", "threads") in alone
    (why,) = [line for line in summary_lines(summary_of(), "the fastest") if "workers" in line]
    assert why.endswith("2 with 1 thread each: the fastest")


def test_without_a_readable_photo_no_cost_is_told() -> None:
    lines = summary_lines(summary_of(images=1, failed=1))
    assert not any(line.startswith("seconds a photo") for line in lines)

"""Seconds and clicks of each accepted region, from the log of prompts of its task."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.clicks.log import ClickEntry
from stages.records import PromptRecord


@dataclass(frozen=True)
class RegionEffort:
    """What a region cost that was made by clicking.

    Attributes:
        region_id: as the page keeps it.
        seconds: to its last answer from the region accepted before, or from the opening of the
            task after that: finding the object is part of the work, and so are tries that were
            given up; a break in which the task was closed is not.
        clicks: prompts that led to it, a box as one.
        prompt: all of them.
        model_id: the model that helped.
        predicted_iou: the model's own estimate of the mask as it was answered.
    """

    region_id: str
    seconds: float
    clicks: int
    prompt: PromptRecord
    model_id: str
    predicted_iou: float | None


def effort_by_region(
    entries: Sequence[ClickEntry], accepted: Collection[str], others: Collection[str] = ()
) -> dict[str, RegionEffort]:
    """The effort for each region of one annotation.

    Args:
        entries: the log of its task, also of other annotators.
        accepted: ids of the annotation's regions; those that nobody clicked for (drawn by hand,
            prefilled) are not in the result.
        others: ids of other people's regions in the same task.
    """
    openings = _own_openings(entries, accepted, others)
    answered = sorted(
        (entry for entry in entries if entry.region_id in accepted), key=lambda entry: entry.at
    )
    efforts: dict[str, RegionEffort] = {}
    begun: float | None = None
    for entry in answered:
        if entry.region_id is None or entry.prompt is None:
            continue
        first = _first_request(entries, entry)
        opened = max((at for at in openings if at <= first), default=None)
        begun = max((at for at in (begun, opened) if at is not None), default=first)
        done = entry.at + entry.milliseconds / 1000
        efforts[entry.region_id] = RegionEffort(
            region_id=entry.region_id,
            seconds=round(done - min(begun, first), 3),
            clicks=entry.clicks,
            prompt=entry.prompt,
            model_id=entry.model_id,
            predicted_iou=entry.predicted_iou,
        )
        begun = done
    return efforts


def _first_request(entries: Sequence[ClickEntry], answered: ClickEntry) -> float:
    """When the first prompt of the same object was given."""
    if not answered.prompt_ids:
        return answered.at
    same = (
        entry.at
        for entry in entries
        if entry.prompt_ids[:1] == answered.prompt_ids[:1] and entry.at <= answered.at
    )
    return min(same, default=answered.at)


def _own_openings(
    entries: Sequence[ClickEntry], accepted: Collection[str], others: Collection[str]
) -> list[float]:
    """When the task was opened by the person whose regions these are.

    The server does not say who opens a task. An opening counts as theirs unless the next region
    after it that anybody accepted is somebody else's.
    """
    theirs: list[float] = []
    belongs = True
    for entry in sorted(entries, key=lambda entry: entry.at, reverse=True):
        if entry.is_opening and belongs:
            theirs.append(entry.at)
        elif entry.region_id in accepted:
            belongs = True
        elif entry.region_id in others:
            belongs = False
    return theirs

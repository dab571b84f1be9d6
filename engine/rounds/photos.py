"""Which photos a round gets: those that no round had yet, in order, at random, or least sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from engine.rounds.context import Context
from engine.rounds.entries import Outcome
from engine.rounds.held_out import Marks, marks_of, place_of
from engine.rounds.proposing import propose
from model.errors import StopError
from pipelines.removals import removed_ids
from pipelines.shards import read_rows
from pipelines.sources import list_photos
from stages.gates import BELOW_PREDICTED_IOU, BELOW_STABILITY
from stages.records import ImageRef, ImageRow

PHOTOS_FILE = "photos.jsonl"


def plan(context: Context) -> Outcome:
    """Chooses the round's photos.

    Raises:
        StopError: if no photo is left.
    """
    settings, its = context.settings, context.its
    pool = list_photos(settings.under_root(settings.pool.source), name=settings.pool.name)
    taken = {photo.image_id for photo in _taken(context)} | removed_ids(context.folder)
    places = _places_of_existing(context)
    untaken = [
        photo
        for photo in pool
        if photo.image_id not in taken and not (places and place_of(photo.uri) in places)
    ]
    free = _Free(untaken, marks_of(settings))
    chosen, figures = _choose(context, free)
    if not chosen:
        raise StopError(
            f"round {context.number}: none of the pool's {len(pool)} photos is left for it: rounds "
            f"before it had {len(pool) - len(untaken)}, and held-out ones are for nobody. Nothing "
            f"was written to the ledger; add photos to {settings.pool.source}, or take "
            "the round out of the configuration."
        )
    name = context.place(PHOTOS_FILE)
    context.write_photos(name, chosen)
    left = len(untaken) - len(chosen) - free.left_out.total()
    counts: dict[str, float] = {"photos": len(chosen), "free": left, **free.left_out}
    if len(chosen) < its.photos.count:
        figures["short_of"] = its.photos.count - len(chosen)
    return Outcome(outputs={"photos": name}, counts=counts, figures=figures)


def _taken(context: Context) -> list[ImageRef]:
    """Photos of earlier rounds."""
    return [
        photo
        for entry in context.ledger.standing
        if entry.step == "plan" and entry.round < context.number
        for photo in context.read_photos(entry.outputs["photos"])
    ]


def _places_of_existing(context: Context) -> frozenset[str]:
    """Where photos of round 0's masks are, whatever their source is called there."""
    imported = context.ledger.find(0, "import")
    if imported is None or context.its.photos.existing_again:
        return frozenset()
    return frozenset(
        place_of(row.ref.uri)
        for run in imported.outputs.values()
        for row in read_rows(context.address(run), columns=[])
        if row.error is None
    )


class _Free:
    """Photos that no round had; which of them nobody may have shows when one is taken."""

    def __init__(self, photos: Sequence[ImageRef], marks: Marks) -> None:
        self.left_out: Counter[str] = Counter()
        self._marks = marks
        by_name = [(photo, marks.by_name(photo)) for photo in photos]
        self.left_out.update(reason for _, reason in by_name if reason is not None)
        self.photos = [photo for photo, reason in by_name if reason is None]

    def first(self, photos: Iterable[ImageRef], count: int) -> list[ImageRef]:
        """The first so many that are neither copies nor near-duplicates of held-out ones."""
        return list(islice(filter(self._is_open, photos), count))

    def _is_open(self, photo: ImageRef) -> bool:
        reason = self._marks.of(photo)
        if reason is not None:
            self.left_out[reason] += 1
        return reason is None


def _choose(context: Context, free: _Free) -> tuple[list[ImageRef], dict[str, float | str]]:
    choice = context.its.photos
    if choice.order == "in_order":
        return free.first(free.photos, choice.count), {}
    rng = np.random.default_rng([context.settings.seed, context.number])
    shuffled = [free.photos[place] for place in rng.permutation(len(free.photos)).tolist()]
    if choice.order == "random":
        return _sorted(free.first(shuffled, choice.count)), {}
    looked_at = _sorted(free.first(shuffled, choice.count * choice.looked_at))
    if not looked_at:
        return [], {}
    run = context.place("looked-at")
    propose(context, looked_at, run)
    doubts = {row.ref.image_id: doubt(row) for row in read_rows(context.address(run))}
    ranked = sorted(looked_at, key=lambda photo: (-doubts[photo.image_id], photo.path))
    chosen = ranked[: choice.count]
    figures: dict[str, float | str] = {
        "looked_at": len(looked_at),
        "doubt_of_chosen": _mean([doubts[photo.image_id] for photo in chosen]),
        "doubt_of_all": _mean(list(doubts.values())),
    }
    return _sorted(chosen), figures


def doubt(row: ImageRow) -> float:
    """How unsure the model is of a photo, 0 to 1: low scores, instability, many rejected.

    The mean of three shares: what the kept masks lack to a predicted IoU of 1, what they lack to
    full stability, and the proposals that fell below either threshold.
    """
    if row.error is not None:
        return 0.0
    if not row.masks:
        return 1.0
    ious = [mask.predicted_iou or 0.0 for mask in row.masks]
    stabilities = [mask.stability_score or 0.0 for mask in row.masks]
    failed = row.dropped.get(BELOW_PREDICTED_IOU, 0) + row.dropped.get(BELOW_STABILITY, 0)
    parts = [1 - _mean(ious), 1 - _mean(stabilities), failed / max(1, row.proposals)]
    return float(np.clip(_mean(parts), 0, 1))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _sorted(photos: Sequence[ImageRef]) -> list[ImageRef]:
    return sorted(photos, key=lambda photo: photo.path)

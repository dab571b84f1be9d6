"""Which photos a round gets: those that no round had yet, in order, at random, or least sure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.rounds.context import Context
from engine.rounds.entries import Outcome
from engine.rounds.held_out import held_out_addresses
from engine.rounds.proposing import propose
from model.errors import StopError
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
    taken = {photo.image_id for photo in _taken(context)}
    secret = held_out_addresses(settings)
    free = [photo for photo in pool if photo.image_id not in taken and photo.uri not in secret]
    if not free:
        raise StopError(
            f"round {context.number}: none of the pool's {len(pool)} photos is left for it: rounds "
            f"before it had {len(taken)}, and held-out ones are for nobody. Nothing was written "
            f"to the ledger; add photos to {settings.pool.source}, or take the round out of the "
            "configuration."
        )
    chosen, figures = _choose(context, free)
    name = context.place(PHOTOS_FILE)
    context.write_photos(name, chosen)
    counts = {"photos": len(chosen), "free": len(free) - len(chosen)}
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


def _choose(
    context: Context, free: Sequence[ImageRef]
) -> tuple[list[ImageRef], dict[str, float | str]]:
    choice = context.its.photos
    if choice.order == "in_order":
        return list(free[: choice.count]), {}
    rng = np.random.default_rng([context.settings.seed, context.number])
    shuffled = [free[place] for place in rng.permutation(len(free)).tolist()]
    if choice.order == "random":
        return _sorted(shuffled[: choice.count]), {}
    looked_at = _sorted(shuffled[: choice.count * choice.looked_at])
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

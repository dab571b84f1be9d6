"""A round's data set: what people confirmed and what the model is sure of, split by groups.

Near-duplicates, and frames of one source, stay on one side of the split. Held-out photos are on
neither, wherever they came from, and neither is what looks like one or comes from its source.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from engine.rounds.context import Context
from engine.rounds.entries import Entry, Outcome
from engine.rounds.held_out import without_held_out
from engine.rounds.settings import EngineSettings
from model.errors import StopError
from pipelines.joins import (
    IndexedPhoto,
    JoinedRun,
    JoinIndex,
    JoinRecipe,
    index_runs,
    write_joined_run,
)
from pipelines.removals import removed_ids
from pipelines.reviews import read_reviews
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages.joining import JoinParameters, is_peoples
from stages.photo_hash import groups_of
from stages.reviews import ACCEPT

TRAIN, VALIDATION = "train", "validation"
RUN_OF_STEP: Final = {"import": "import", "collect": "people", "propose": "machine"}


def build(context: Context) -> Outcome:
    """Puts the data set of all rounds so far together.

    Raises:
        StopError: if there is nothing to train on.
    """
    settings = context.settings
    settings = settings.model_copy(update={"data": settings.data_of(context.round)})
    runs = taking_part(context)
    joined = tuple(JoinedRun(context.address(run), number) for run, number in runs)
    folder = context.place("data")
    index = index_runs(
        joined,
        Folder(context.address(folder)),
        limits=settings.pool.limits,
        alike_bits=settings.data.near_duplicate_bits,
    )
    index, left_out = without_held_out(index, joined, settings)
    index = without_removed(index, context.folder)
    sides = split(index, settings.data, settings.seed)
    recipe = JoinRecipe(
        joined, settings.data, settings.pool.limits, rejected(run.address for run in joined)
    )
    counts: dict[str, float] = {"alike": len(index.alike)}
    dropped: Counter[str] = Counter()
    for side, photos in sides.items():
        counts[f"{side}_photos"] = len(photos)
        if not photos:
            continue
        summary = write_joined_run(
            context.address(f"{folder}/{side}"),
            photos,
            recipe,
            source=settings.under_root(settings.pool.source),
            configuration=_configuration(settings, runs, side),
        )
        dropped.update(summary.dropped)
    counts |= _count_masks(context.address(f"{folder}/{TRAIN}")) if counts["train_photos"] else {}
    if not counts.get("peoples_masks", 0) + counts.get("machines_masks", 0):
        raise StopError(
            f"round {context.number}: not one mask is left for training "
            f"({_reasons(dropped, left_out)}). Nothing was written to the ledger; give "
            "this round `data` of its own with a lower sure_predicted_iou and run again, or roll "
            f"it back (mask-engine rollback {context.number}) and give it other photos."
        )
    outputs = {side: f"{folder}/{side}" for side, photos in sides.items() if photos}
    return Outcome(
        inputs={f"run of round {number}, {run.rsplit('/', 1)[-1]}": run for run, number in runs},
        outputs=outputs,
        counts=counts,
        figures={
            "dropped": dict(sorted(dropped.items())),
            "photos_left_out": dict(sorted(left_out.items())),
        },
    )


def without_removed(index: JoinIndex, engine: Folder) -> JoinIndex:
    """An index without the photos that were taken out of the engine."""
    removed = removed_ids(engine)
    kept = (photo for photo in index.photos if photo.ref.image_id not in removed)
    return replace(index, photos=tuple(kept))


def rejected(runs: Iterable[str]) -> frozenset[str]:
    """Masks whose last review rejects them, or sends them back to be mended.

    The last is the one of the newest run, and there the last as `read_reviews` orders them; clocks
    of different rounds' servers order nothing.

    Args:
        runs: addresses, the oldest round first.
    """
    last = {review.mask_id: review.verdict for run in runs for review in read_reviews(Folder(run))}
    return frozenset(mask for mask, verdict in last.items() if verdict != ACCEPT)


def taking_part(context: Context) -> list[tuple[str, int]]:
    """Runs of all rounds up to this one, the oldest first: where people were asked, theirs."""
    rounds: dict[int, list[Entry]] = {}
    for entry in context.ledger.standing:
        if entry.round <= context.number and entry.step in RUN_OF_STEP and entry.outputs:
            rounds.setdefault(entry.round, []).append(entry)
    found: list[tuple[str, int]] = []
    for number in sorted(rounds):
        entries = rounds[number]
        # What people were shown and did not keep must not come in by the back door.
        people = [entry for entry in entries if entry.step == "collect"]
        for entry in people or entries:
            found += [(run, number) for run in entry.outputs.values()]
    return found


def split(index: JoinIndex, parameters: JoinParameters, seed: int) -> dict[str, list[IndexedPhoto]]:
    """Photos of each side; a group of photos that belong together is on one side, by its name."""
    group_of = _groups(index, parameters)
    sides: dict[str, list[IndexedPhoto]] = {TRAIN: [], VALIDATION: []}
    for photo in index.photos:
        drawn = hashlib.blake2b(f"{seed}/{group_of[photo.ref.image_id]}".encode(), digest_size=8)
        share = int.from_bytes(drawn.digest(), "big") / 2**64
        side = VALIDATION if share < parameters.validation_share else TRAIN
        sides[side].append(photo)
    return sides


def _groups(index: JoinIndex, parameters: JoinParameters) -> dict[str, str]:
    pairs = list(index.alike)
    if parameters.frames_of is not None:
        first_of: dict[str, str] = {}
        for photo in index.photos:
            source = parameters.source_of_frame(photo.ref.path)
            if source is not None:
                pairs.append((first_of.setdefault(source, photo.ref.image_id), photo.ref.image_id))
    return dict(groups_of((photo.ref.image_id for photo in index.photos), pairs))


def _configuration(
    settings: EngineSettings, runs: Sequence[tuple[str, int]], side: str
) -> dict[str, Any]:
    return {
        "stage": "joined",
        "side": side,
        "runs": [f"{number}:{run}" for run, number in runs],
        "join": settings.data.model_dump(mode="json"),
        "seed": settings.seed,
    }


def _count_masks(run: str) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for row in read_rows(run, columns=["masks"]):
        for mask in row.masks:
            counts["peoples_masks" if is_peoples(mask) else "machines_masks"] += 1
    return {name: float(counts[name]) for name in ("peoples_masks", "machines_masks")}


def _reasons(dropped: Counter[str], left_out: Counter[str]) -> str:
    named = [f"{_in_words(reason)}: {count}" for reason, count in dropped.most_common(3)]
    named += [f"photos {_in_words(reason)}: {n}" for reason, n in left_out.items()]
    return ", ".join(named) or "there were none"


def _in_words(reason: str) -> str:
    return reason.replace("_", " ")

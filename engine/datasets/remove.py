"""Takes a photo and its masks out of runs, data sets, engines and exports, for good.

In shards, where every planned photo has one row, the row stays and says that it was removed; its
masks and the photo itself are gone. An engine's own list keeps the photo out of all that comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.datasets.remove_from_run import planned_in, remove_from_run
from engine.datasets.unreached import beyond_engine, beyond_run
from engine.exports.folder import MARKER_FILE, read_marker
from engine.exports.removal import refuse_unknown_format, remove_from_export
from engine.rounds.ledger import is_engine
from engine.rounds.photos import PHOTOS_FILE
from model.errors import ConfigurationError
from pipelines.lock import folder_lock, run_lock
from pipelines.manifest import timestamp
from pipelines.removals import Removal, note_removal, read_removals
from pipelines.run_folder import MANIFEST_FILE
from pipelines.storage import Folder

# What trainings of an engine keep of the pictures they saw; all of it is made again when needed.
TRAININGS_KEEP: Final = ("embeddings", "overlays", "cache")


@dataclass(frozen=True)
class Removed:
    """What was taken out of one place.

    Attributes:
        place: its address.
        kind: run (a data set too), engine or export.
        masks: that the photo had there, in this call or in one before it.
        unreached: what may still hold the photo, a sentence each.
    """

    place: str
    kind: str
    masks: int
    unreached: tuple[str, ...] = ()


def remove_photo(image_id: str, places: Sequence[str], *, reason: str) -> list[Removed]:
    """Takes a photo out of data sets, runs, engines (all their runs) and exports.

    Safe to repeat: a call that was killed is gone on with, and what is gone stays gone.

    Raises:
        BusyError: before anything is changed, if another call is at work at one of them.
        ConfigurationError: before anything is changed, if a place is none of these; afterwards, if
            the photo is in none of them.
        StopError, ShardError: if a file cannot be written; the same call goes on.
    """
    places = list({Folder(place).root: place for place in places}.values())
    kinds = [_kind(place) for place in places]
    removed: list[Removed] = []
    with ExitStack() as locks:
        for place, kind in zip(places, kinds, strict=True):
            if kind in _LOCKS:
                locks.enter_context(_LOCKS[kind](Folder(place)))
        for place, kind in zip(places, kinds, strict=True):
            removed += _REMOVERS[kind](place, image_id, reason)
    if not removed:
        raise ConfigurationError(
            f"{image_id}: no photo of this id is in {', '.join(places)}; ids are the `image_id` "
            "column of the shards"
        )
    return removed


def _kind(place: str) -> str:
    if is_engine(place):
        return "engine"
    if Folder(place).exists(MANIFEST_FILE):
        return "run"
    folder = Path(place).expanduser()
    if "://" not in place and read_marker(folder):
        refuse_unknown_format(folder)
        return "export"
    raise ConfigurationError(
        f"{place}: neither a run or data set ({MANIFEST_FILE}), nor an engine's folder, nor an "
        f"export ({MARKER_FILE}). Nothing was changed."
    )


def _from_export(place: str, image_id: str, reason: str) -> Iterator[Removed]:
    del reason  # an export names the photo alone
    masks = remove_from_export(Path(place).expanduser(), image_id)
    if masks is not None:
        yield Removed(place, "export", masks)


def _from_run(place: str, image_id: str, reason: str) -> Iterator[Removed]:
    masks = remove_from_run(Folder(place), image_id, reason)
    if masks is not None:
        yield Removed(place, "run", masks, tuple(beyond_run(Folder(place), image_id)))


def _from_engine(place: str, image_id: str, reason: str) -> Iterator[Removed]:
    engine = Folder(place)
    names = [path[len(engine.root) :].strip("/") for path in engine.filesystem.find(engine.root)]
    below = [
        name.removesuffix(f"/{MANIFEST_FILE}") for name in names if _is_in(name, MANIFEST_FILE)
    ]
    runs = [run for run in sorted(below) if planned_in(_folder(place, run), image_id)]
    known = read_removals(engine)
    if image_id not in known and not runs and not _is_chosen(engine, names, image_id):
        return
    if image_id not in known:
        # The engine's list first: from now on no step takes the photo up again.
        note_removal(engine, Removal(image_id, 0, reason, timestamp()))
    for run in runs:
        yield from _from_run(_folder(place, run).address, image_id, reason)
    for folder in {name.rsplit("/training/", 1)[0] for name in names if "/training/" in name}:
        for kept in TRAININGS_KEEP:
            engine.remove(f"{folder}/training/{kept}")
    for name in names:
        if "/clicks/" in name and name.endswith(".jsonl"):
            _without_lines_of(engine, name, image_id)
    yield Removed(place, "engine", 0, tuple(beyond_engine(engine, image_id)))


_REMOVERS: Final = {"export": _from_export, "run": _from_run, "engine": _from_engine}
# Nobody works at an export.
_LOCKS: Final = {"run": run_lock, "engine": folder_lock}


def _is_in(name: str, file: str) -> bool:
    return name.endswith(f"/{file}")


def _folder(engine: str, run: str) -> Folder:
    return Folder(f"{engine.rstrip('/')}/{run}")


def _is_chosen(engine: Folder, names: Sequence[str], image_id: str) -> bool:
    """Whether a round has the photo that has not begun with it."""
    lists = (name for name in names if _is_in(name, PHOTOS_FILE))
    return any(image_id.encode() in engine.read(name) for name in lists)


def _without_lines_of(engine: Folder, name: str, image_id: str) -> None:
    """Prompts were asked about the photo; a line is one of them."""
    lines = engine.read(name).splitlines(keepends=True)
    kept = [line for line in lines if image_id.encode() not in line]
    if len(kept) < len(lines):
        engine.write(name, b"".join(kept))

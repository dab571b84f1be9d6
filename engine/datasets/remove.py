"""Takes a photo and its masks out: of every shard, of exports, and says so where they were.

In shards, where every planned photo has one row, the row stays and says that it was removed; its
masks and the photo itself are gone. `removals.jsonl` beside the shards records id, time, reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from engine.datasets.checksums import CHECKSUMS_FILE, write_checksums
from engine.datasets.statistics import statistics
from engine.exports.folder import MARKER_FILE, read_marker
from engine.exports.removal import remove_from_export
from engine.rounds.ledger import is_engine
from model.errors import ConfigurationError
from pipelines.manifest import read_manifest, timestamp
from pipelines.run_folder import MANIFEST_FILE, SHARDS, SUMMARY_FILE, shard_name
from pipelines.shards import write_shard
from pipelines.sidecar import ShardStats, Tally, read_stats
from pipelines.storage import Folder
from stages.records import ErrorRecord, ImageRow
from stages.schema import rows_from_table

REMOVALS_FILE: Final = "removals.jsonl"
REMOVED: Final = "removed"


@dataclass(frozen=True)
class Removed:
    """What was taken out of one place: a run, a data set, an export."""

    place: str
    kind: str
    masks: int


def remove_photo(image_id: str, places: list[str], *, reason: str) -> list[Removed]:
    """Takes a photo out of data sets, runs, engines (all their runs) and exports.

    Safe to repeat: what is gone already is passed over.

    Raises:
        ConfigurationError: before anything is changed, if a place is none of these; afterwards,
            if the photo is in none of them.
    """
    found = [_kind(place) for place in places]
    removed = []
    for place, kind in zip(places, found, strict=True):
        if kind == "export":
            masks = remove_from_export(Path(place).expanduser(), image_id)
            if masks is not None:
                removed.append(Removed(place, kind, masks))
            continue
        for run in _runs(place) if kind == "engine" else [place]:
            masks = _remove_from_run(Folder(run), image_id, reason)
            if masks is not None:
                removed.append(Removed(run, "run", masks))
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
    if "://" not in place and read_marker(Path(place).expanduser()):
        return "export"
    raise ConfigurationError(
        f"{place}: neither a run or data set ({MANIFEST_FILE}), nor an engine's folder, nor an "
        f"export ({MARKER_FILE}). Nothing was changed."
    )


def _runs(engine: str) -> Iterator[str]:
    """Every run below an engine's folder."""
    folder = Folder(engine)
    for path in sorted(folder.filesystem.find(folder.root)):
        if path.endswith(f"/{MANIFEST_FILE}"):
            inside = path[len(folder.root) :].strip("/")
            yield f"{engine.rstrip('/')}/{inside.removesuffix(MANIFEST_FILE).rstrip('/')}"


def _remove_from_run(run: Folder, image_id: str, reason: str) -> int | None:
    """Masks taken out, or None where the photo is not in it (any more)."""
    manifest = read_manifest(run)
    if manifest is None:
        return None
    taken: int | None = None
    for shard in range(manifest.shard_totals[-1]):
        name = shard_name(shard, manifest.shard_totals)
        if not run.exists(name) or not _holds(run, name, image_id):
            continue
        rows = _rows(run, name)
        here = [row for row in rows if row.ref.image_id == image_id and not _is_removed(row)]
        if not here:
            continue
        kept = [_without(row, reason) if row.ref.image_id == image_id else row for row in rows]
        # The sidecar first: a kill in between leaves a shard that is rewritten the next time.
        _sidecar(read_stats(run, shard), kept).write(run)
        write_shard(
            run,
            name,
            kept,
            configuration_digest=manifest.configuration_digest,
            with_images=manifest.embed_images,
        )
        taken = (taken or 0) + sum(len(row.masks) for row in here)
    if taken is not None:
        _record(run, image_id, reason, taken)
    return taken


def _holds(run: Folder, name: str, image_id: str) -> bool:
    with run.open(name) as file:
        found = pq.read_table(file, columns=["image_id"], filters=[("image_id", "==", image_id)])
    return bool(found.num_rows)


def _rows(run: Folder, name: str) -> list[ImageRow]:
    with run.open(name) as file, pq.ParquetFile(file) as parquet:
        return list(rows_from_table(parquet.read()))


def _is_removed(row: ImageRow) -> bool:
    return row.error is not None and row.error.type == REMOVED


def _without(row: ImageRow, reason: str) -> ImageRow:
    dropped = {**row.dropped, REMOVED: len(row.masks)} if row.masks else dict(row.dropped)
    message = f"taken out of the data set: {reason}" if reason else "taken out of the data set"
    return replace(
        row,
        image=None,
        masks=(),
        dropped=dropped,
        exhaustive=None,
        error=ErrorRecord(REMOVED, message),
    )


def _sidecar(before: ShardStats, rows: list[ImageRow]) -> ShardStats:
    tally = Tally()
    for row in rows:
        tally.add(row)
    now = tally.stats(before.shard, wall_seconds=before.wall_seconds, workers=1, threads=1)
    return before.model_copy(
        update={"masks": now.masks, "failed": now.failed, "dropped": now.dropped}
    )


def _record(run: Folder, image_id: str, reason: str, masks: int) -> None:
    """Notes the removal, and brings what describes the run up to date."""
    line = {"image_id": image_id, "masks": masks, "reason": reason, "at": timestamp()}
    before = run.read(REMOVALS_FILE) if run.exists(REMOVALS_FILE) else b""
    run.write(REMOVALS_FILE, before + (json.dumps(line) + "\n").encode())
    if run.exists(SUMMARY_FILE):
        summary: dict[str, Any] = json.loads(run.read(SUMMARY_FILE))
        summary["masks"] -= masks
        summary["failed"] += 1
        summary["failures"][REMOVED] = summary["failures"].get(REMOVED, 0) + 1
        summary["dropped"][REMOVED] = summary["dropped"].get(REMOVED, 0) + masks
        run.write(SUMMARY_FILE, json.dumps(summary, indent=2).encode())
    if run.exists("statistics.json"):
        run.write("statistics.json", json.dumps(statistics(run.address), indent=1).encode())
    if run.exists(CHECKSUMS_FILE):
        write_checksums(run)


__all__ = ["REMOVALS_FILE", "SHARDS", "Removed", "remove_photo"]

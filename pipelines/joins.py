"""Several runs as one: which rows are of the same photo, and the union of them as a new run.

What Beam does of it is in `join_index` and `joined`; it is loaded where it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipelines.coordinator import Coordinator
from pipelines.planning import RunRequest, plan_run
from pipelines.progress import ProgressCallback, ignore_progress, progress_of
from pipelines.run_folder import clear_leftovers
from pipelines.storage import Folder
from pipelines.summary import Summary, write_summary
from pipelines.workers import without_import_noise
from stages.joining import JoinParameters
from stages.photos import PhotoLimits
from stages.records import ImageRef

INDEX_FILE: Final = "index.jsonl"
ALIKE_FILE: Final = "alike.jsonl"


@dataclass(frozen=True)
class JoinedRun:
    """A run that takes part in a join.

    Attributes:
        address: of its folder.
        round: of the engine; later ones are newer.
    """

    address: str
    round: int


@dataclass(frozen=True)
class RowPlace:
    """Where one row stands.

    Attributes:
        run: number of the run in the join.
        shard: its file's name.
        group, row: the row group, and the row in it.
        revision: of the row.
    """

    run: int
    shard: str
    group: int
    row: int
    revision: int


@dataclass(frozen=True)
class IndexedPhoto:
    """A photo with all its rows.

    Attributes:
        ref: which photo.
        places: where its rows stand, the oldest run first, one of each run.
        photo_hash: perceptual hash, or None if the photo cannot be read any more.
    """

    ref: ImageRef
    places: tuple[RowPlace, ...]
    photo_hash: int | None


@dataclass(frozen=True)
class JoinIndex:
    """The result: photos by path, and pairs of ids of photos that look alike."""

    photos: tuple[IndexedPhoto, ...]
    alike: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class JoinRecipe:
    """How photos' rows become one; pickled.

    Attributes:
        runs: that are joined, the oldest round first.
        parameters: what counts as the same object, and as sure.
        limits: what a photo may cost.
        rejected: ids of masks that people have rejected.
        embed_images: whether rows carry the photos, as training from shards needs.
    """

    runs: tuple[JoinedRun, ...]
    parameters: JoinParameters
    limits: PhotoLimits = field(default_factory=PhotoLimits)
    rejected: frozenset[str] = frozenset()
    embed_images: bool = True


@dataclass(frozen=True)
class JoinWork:
    """One joined run that is being made; pickled."""

    recipe: JoinRecipe
    run: Folder
    totals: tuple[int, ...]
    configuration_digest: str
    places: dict[str, tuple[RowPlace, ...]]


def index_runs(
    runs: Sequence[JoinedRun], out: Folder, *, limits: PhotoLimits, alike_bits: int
) -> JoinIndex:
    """Joins runs by photo, and compares the photos.

    Args:
        runs: the oldest round first.
        out: where the index is kept: `index.jsonl` and `alike.jsonl`.
        limits: what a photo may cost.
        alike_bits: photos whose hashes differ in no more are alike.
    """
    with without_import_noise():
        from pipelines.join_index import run_index
    run_index(runs, out, limits, alike_bits)
    return read_index(out)


def read_index(out: Folder) -> JoinIndex:
    """An index that was kept."""
    photos = [_photo_of_line(line) for line in out.read(INDEX_FILE).decode().splitlines()]
    pairs = [json.loads(line) for line in out.read(ALIKE_FILE).decode().splitlines()]
    photos.sort(key=lambda photo: (photo.ref.path, photo.ref.image_id))
    return JoinIndex(tuple(photos), tuple((first, second) for first, second in pairs))


def write_joined_run(
    out: str,
    photos: Sequence[IndexedPhoto],
    recipe: JoinRecipe,
    *,
    source: str,
    configuration: dict[str, Any],
    progress: ProgressCallback = ignore_progress,
) -> Summary:
    """Writes the union of some photos' rows as a run; a run that is there is gone on with.

    Args:
        out: address of the new run's folder.
        photos: sorted by path, at least one.
        recipe: how rows are joined.
        source: where the photos come from.
        configuration: everything that changes rows.
        progress: called after every photo.

    Raises:
        ConfigurationError: if the folder is foreign, or holds another run.
        StopError, ShardError: if a shard cannot be written.
    """
    request = RunRequest(
        source,
        [photo.ref for photo in photos],
        out,
        configuration,
        embed_images=recipe.embed_images,
    )
    planned = plan_run(request)
    if planned.pending:
        coordinator = Coordinator(
            planned.pending, progress_of(planned), max_failed_share=1.0, on_progress=progress
        )
        with without_import_noise():
            from pipelines.joined import run_joined
        work = JoinWork(
            recipe,
            planned.run,
            planned.manifest.shard_totals,
            planned.manifest.configuration_digest,
            {photo.ref.image_id: photo.places for photo in photos},
        )
        run_joined(work, coordinator)
        if coordinator.error is not None:
            raise coordinator.error
    summary = write_summary(planned.run, planned.manifest, planned.plan, None)
    clear_leftovers(planned.run)
    return summary


def _photo_of_line(line: str) -> IndexedPhoto:
    ref, places, photo_hash = json.loads(line)
    return IndexedPhoto(ImageRef(*ref), tuple(RowPlace(*place) for place in places), photo_hash)

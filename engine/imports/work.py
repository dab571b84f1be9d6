"""Annotations become a run: planned, then written shard by shard; a re-run goes on.

The shards hold what an automatic run's hold, so status, report and export know no difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from engine.console import Meter
from engine.imports.annotated import AnnotationReader
from engine.imports.coco import CocoReader
from engine.imports.rows import PhotoFolder, row_of
from engine.imports.sa1b import Sa1bReader
from pipelines.manifest import (
    Manifest,
    configuration_digest,
    hardware,
    read_manifest,
    refuse_changes,
    timestamp,
    versions,
)
from pipelines.plan import Plan, default_shard_size, read_plan, read_planned_shard
from pipelines.run_folder import done_shards, prepare_folder, shard_name
from pipelines.shards import write_rows
from pipelines.sidecar import Tally
from pipelines.storage import Folder
from pipelines.summary import Summary, write_summary
from stages import ids
from stages.photos import PhotoLimits
from stages.records import ImageRef, ImageRow
from stages.schema import SCHEMA_VERSION

READERS: Final[Mapping[str, Callable[[str], AnnotationReader]]] = MappingProxyType(
    {"sa1b": Sa1bReader, "coco": CocoReader}
)

# Raised whenever the same annotations would give other masks than before.
ALGORITHM_VERSION: Final = 1


class ImportSettings(BaseModel):
    """A complete import."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    annotations: str = Field(description="A folder of annotations, or COCO's JSON file.")
    out: str = Field(description="The new run's folder: a path or an fsspec URL.")
    photos: str | None = Field(
        default=None, description="Folder of the photos; beside the annotations if unset."
    )
    source_name: str | None = Field(
        default=None, min_length=1, description="Name of the source, part of every id."
    )
    embed_images: bool = Field(default=False, description="Keep the photos in the shards.")
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )


def import_folder(import_format: str, settings: ImportSettings, *, meter: Meter) -> Summary:
    """Imports annotations as a run; memory does not grow with their number (COCO's file aside).

    Args:
        import_format: a key of `READERS`.
        settings: what and where.
        meter: told of every photo done.

    Raises:
        ConfigurationError: if the annotations cannot be read, or the folder is another run's.
        StopError: if the disk is full.
        ShardError: if a shard cannot be written.
    """
    reader = READERS[import_format](settings.annotations)
    photos = PhotoFolder.beside(settings.annotations, settings.photos)
    refs = _refs(reader.paths(), photos, settings)
    work = _planned(import_format, settings, refs, photos)
    done = work.finished_rows
    for shard in work.pending:
        done = _write_shard(shard, work, reader, settings, lambda n: meter(n, len(refs)), done)
    return write_summary(work.run, work.manifest, work.plan, None)


@dataclass(frozen=True)
class _Work:
    run: Folder
    manifest: Manifest
    plan: Plan
    pending: tuple[int, ...]

    @property
    def finished_rows(self) -> int:
        rows = self.plan.rows_in_shards()
        return sum(rows) - sum(rows[shard] for shard in self.pending)


def _refs(paths: Sequence[str], photos: PhotoFolder, settings: ImportSettings) -> list[ImageRef]:
    name = settings.source_name or Path(settings.annotations).expanduser().resolve().stem
    return [ImageRef(ids.image_id(name, path), name, path, photos.address(path)) for path in paths]


def _planned(
    import_format: str, settings: ImportSettings, refs: Sequence[ImageRef], photos: PhotoFolder
) -> _Work:
    configuration: dict[str, Any] = {
        "stage": "import",
        "format": import_format,
        "limits": settings.limits.model_dump(mode="json"),
        "schema_version": SCHEMA_VERSION,
        "algorithm_version": ALGORITHM_VERSION,
    }
    run = prepare_folder(settings.out)
    begun = read_manifest(run)
    size = begun.shard_size if begun else default_shard_size(len(refs))
    plan = Plan.empty().extended(refs, shard_size=size)
    if begun is None:
        manifest = _manifest(settings, configuration, refs, photos, plan)
        plan.write(run)
        manifest.write(run)
    else:
        manifest, plan = begun, _same_plan(run, begun, plan, configuration, settings)
    done = set(done_shards(run, manifest.shard_totals))
    pending = tuple(shard for shard in range(plan.shards) if shard not in done)
    return _Work(run, manifest, plan, pending)


def _same_plan(
    run: Folder,
    begun: Manifest,
    plan: Plan,
    configuration: dict[str, Any],
    settings: ImportSettings,
) -> Plan:
    now = {
        "configuration": configuration,
        "input_digest": plan.input_digest(),
        "embed_images": settings.embed_images,
    }
    refuse_changes(run, begun, now)
    return read_plan(run)


def _manifest(
    settings: ImportSettings,
    configuration: dict[str, Any],
    refs: Sequence[ImageRef],
    photos: PhotoFolder,
    plan: Plan,
) -> Manifest:
    return Manifest(
        source=photos.root,
        source_name=refs[0].source,
        photos=plan.photos,
        rows=plan.rows,
        shard_size=default_shard_size(len(refs)),
        shard_totals=(plan.shards,),
        input_digest=plan.input_digest(),
        configuration=configuration,
        configuration_digest=configuration_digest(configuration),
        checkpoint="none",
        embed_images=settings.embed_images,
        threads=1,
        device="cpu",
        hardware=hardware(),
        versions=versions(),
        created=timestamp(),
    )


def _write_shard(
    shard: int,
    work: _Work,
    reader: AnnotationReader,
    settings: ImportSettings,
    tell: Callable[[int], None],
    done: int,
) -> int:
    """Writes a shard and its sidecar; the sidecar comes first, as a shard that is there is done."""
    started = time.perf_counter()
    tally = Tally()
    refs = [planned.ref for planned in read_planned_shard(work.run, shard)]

    def rows() -> Iterator[ImageRow]:
        photos = reader.read([ref.path for ref in refs])
        for place, (ref, photo) in enumerate(zip(refs, photos, strict=True)):
            row = row_of(ref, photo, settings.limits, embed=settings.embed_images)
            tally.add(row)
            tell(done + place + 1)
            yield row

    with work.run.writing(shard_name(shard, work.manifest.shard_totals)) as file:
        write_rows(
            file,
            rows(),
            configuration_digest=work.manifest.configuration_digest,
            with_images=settings.embed_images,
        )
        wall = time.perf_counter() - started
        tally.stats(shard, wall_seconds=wall, workers=1, threads=1).write(work.run)
    return done + len(refs)

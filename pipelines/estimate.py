"""A dry run: what a run would make, and about how long it takes, from a few photos tried out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Final

from threadpoolctl import threadpool_limits

from pipelines.image_work import ImageRecipe, load_photo, make_row
from pipelines.plan import Plan, PlannedImage, default_shard_size
from pipelines.promised_model import CheckpointSegmenter, promised_model
from pipelines.run_config import AutomaticRun
from pipelines.shard_work import SegmenterFactory
from pipelines.shards import write_rows
from pipelines.sources import list_photos
from stages.records import ImageRef, ImageRow

SAMPLED_PHOTOS: Final = 3


@dataclass(frozen=True)
class Estimate:
    """What a run would be; a run's photos differ, so times and bytes are rough.

    Attributes:
        images, shards: exact.
        seconds: with the workers asked for.
        disk_bytes: of the run's folder.
        masks: of all photos.
        sampled, sampled_failed: photos that were tried out, and how many of them failed.
        model_id: the model.
    """

    images: int
    shards: int
    seconds: float
    disk_bytes: int
    masks: int
    sampled: int
    sampled_failed: int
    model_id: str


def estimate_run(config: AutomaticRun, *, segmenter: SegmenterFactory | None = None) -> Estimate:
    """Tries a few photos, spread over the source; writes nothing.

    Args:
        config: the run.
        segmenter: as in `automatic.run_automatic`.

    Raises:
        ConfigurationError: if something asked for cannot be done.
    """
    config.refuse_contradictions()
    model = promised_model(config.checkpoint, segmenter)
    parameters, _ = config.resolved_parameters(model.recommended)
    refs = list_photos(config.source, name=config.source_name)
    size = config.shard_size or default_shard_size(len(refs))
    plan = Plan.empty().extended(refs, shard_size=size)
    threads = config.own_threads(plan.shards)
    own = CheckpointSegmenter(config.checkpoint, config.device, threads, config.encoder)
    recipe = ImageRecipe(parameters, config.limits, config.embed_images, threads=threads)
    started = time.perf_counter()
    loaded = (segmenter or own)()
    loading = time.perf_counter() - started
    rows: list[ImageRow] = []
    with threadpool_limits(limits=threads):
        for ref in _spread(refs):
            image = PlannedImage(ref, revision=0)
            rows.append(make_row(image, partial(load_photo, image, recipe), loaded, recipe)[0])
    each = (time.perf_counter() - started - loading) / len(rows)
    busy = min(config.own_workers(threads, plan.shards), plan.shards)
    return Estimate(
        images=plan.photos,
        shards=plan.shards,
        seconds=loading + each * plan.photos / busy,
        disk_bytes=_bytes(rows, config) * plan.photos // len(rows),
        masks=sum(len(row.masks) for row in rows) * plan.photos // len(rows),
        sampled=len(rows),
        sampled_failed=sum(row.error is not None for row in rows),
        model_id=model.model_id,
    )


def _spread(refs: Sequence[ImageRef]) -> list[ImageRef]:
    """A few photos from all over the source: neighbours in a folder are often alike."""
    count = min(SAMPLED_PHOTOS, len(refs))
    return [refs[(2 * place + 1) * len(refs) // (2 * count)] for place in range(count)]


def _bytes(rows: Sequence[ImageRow], config: AutomaticRun) -> int:
    buffer = BytesIO()
    write_rows(buffer, rows, configuration_digest="", with_images=config.embed_images)
    return buffer.getbuffer().nbytes

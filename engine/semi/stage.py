"""The entry points `send`, `collect`, `status`: plain functions, for commands and rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.assist.collecting import Collected
from engine.assist.collecting import collect as collect_answers
from engine.assist.connection import Connection, connection_of
from engine.assist.importing import Told
from engine.assist.progress import ServerProgress, server_progress
from engine.assist.sending import Sent, open_run
from engine.assist.sending import send as send_photos
from engine.backend.labels import IMAGE_CONTROL, OBJECT, OUTLINE_CONTROL
from engine.label_studio.outline import polygon_region
from engine.semi.proposing import ProposingModel, load_model, propose
from engine.semi.settings import SemiRun
from pipelines.progress import ProgressCallback, ignore_progress
from pipelines.row_lookup import RowLookup
from pipelines.sources import list_photos
from pipelines.storage import Folder
from stages import rle
from stages.records import ImageRef, MaskRecord


@dataclass(frozen=True)
class SentPrefilled(Sent):
    """What sending did.

    Attributes:
        proposed: masks that tasks begin with, those sent before too.
    """

    proposed: int


def send(
    settings: SemiRun,
    *,
    connection: Connection | None = None,
    model: Callable[[], ProposingModel] | None = None,
    proposing: ProgressCallback = ignore_progress,
    told: Told = lambda done, total: None,
) -> SentPrefilled:
    """Proposes masks for every photo, and gives each a task that begins with them.

    Args:
        settings: the run's.
        connection: to the server, in place of one of its own.
        model: gives the model, in place of the configured files.
        proposing: called after every photo that was proposed for.
        told: how many photos have a task, of how many.

    Raises:
        ConfigurationError: before anything is changed on the server, if it cannot work.
        ServerUnavailableError: if the server goes away; sending again goes on.
    """
    # First of all: refused at once if nobody answers there.
    with connection_of(settings.server, connection) as server:
        refs = list_photos(settings.source, name=settings.source_name)
        open_run(settings, refs[0].source)
        made = propose(
            settings, model or (lambda: load_model(settings)), append=True, progress=proposing
        )
        kept = RowLookup(Folder(settings.proposals))
        sent = send_photos(
            settings, server, told=told, prefill=lambda ref: prediction_of(kept, ref)
        )
        return SentPrefilled(**vars(sent), proposed=made.masks)


def collect(
    settings: SemiRun,
    *,
    connection: Connection | None = None,
    told: Told = lambda done, total: None,
) -> Collected:
    """Brings what people finished into shards, and their verdicts into the reviews table.

    Raises:
        ConfigurationError: if nothing was sent yet.
        ServerUnavailableError: if the server goes away; collecting again goes on.
    """
    with connection_of(settings.server, connection) as server:
        kept = RowLookup(Folder(settings.proposals))
        return collect_answers(
            settings, server, told=told, prefilled_of=lambda ref: prefilled_of(kept, ref)
        )


def status(settings: SemiRun, *, connection: Connection | None = None) -> ServerProgress:
    """How far the people are.

    Raises:
        ConfigurationError: if nothing was sent yet.
    """
    with connection_of(settings.server, connection) as server:
        return server_progress(settings, server)


def prefilled_of(kept: RowLookup, ref: ImageRef) -> Mapping[str, MaskRecord]:
    """The exact masks of a photo by the id of their region: a mask's own."""
    row = kept.get(ref.image_id)
    return {} if row is None else {mask.mask_id: mask for mask in row.masks}


def prediction_of(kept: RowLookup, ref: ImageRef) -> dict[str, Any] | None:
    """What a photo's task begins with, as Label Studio imports it."""
    masks = prefilled_of(kept, ref).values()
    if not masks:
        return None
    regions = [
        polygon_region(
            mask.mask_id,
            rle.decode(mask.segmentation),
            control=OUTLINE_CONTROL,
            shown_on=IMAGE_CONTROL,
            label=OBJECT,
            score=mask.predicted_iou,
        )
        for mask in masks
    ]
    score = sum(mask.predicted_iou or 0.0 for mask in masks) / len(masks)
    model = next(mask.model_id for mask in masks)
    return {"model_version": model, "score": score, "result": regions}

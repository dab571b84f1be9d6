"""Finished photos become answers, shards and reviews, as Label Studio's do: each exactly once.

An answer that says the same as the one that is kept changes nothing, so collecting may be killed
and repeated at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from engine.annotate.logging_clicks import click_entries
from engine.annotate.protocol import SentMask, SentWork
from engine.annotate.settings import AnnotateRun
from engine.annotate.work_folder import WorkFolder
from engine.assist.answer_content import Content, Drawing
from engine.assist.reviewing import review_collected
from engine.assist.rows import RowMaker
from engine.backend.answers import MaskRegion
from engine.backend.label_set_up import LabelSetUp
from engine.backend.labels import IMAGE_CONTROL, OBJECT, OUTLINE_CONTROL
from engine.clicks.effort import effort_by_region
from engine.clicks.log import ClickEntry
from engine.label_studio.labelling_config import (
    EXHAUSTIVE_CHOICE,
    EXHAUSTIVE_CONTROL,
    mask_labels,
)
from engine.label_studio.outline import polygon_region
from pipelines.answers import Answer
from pipelines.collect import CollectedRun, keep_answers, make_answered_shards
from pipelines.row_lookup import RowLookup
from pipelines.sources import source_address
from pipelines.storage import Folder
from pipelines.summary import Summary
from stages import rle
from stages.cleanup import MaskPatch
from stages.records import ImageRef, MaskRecord

Json = dict[str, Any]
Given = Mapping[str, MaskRecord]
EntriesOf = Callable[[SentWork], list[ClickEntry]]


def open_annotated(settings: AnnotateRun, source_name: str) -> CollectedRun:
    """The run's folder, begun or as it stands.

    Raises:
        ConfigurationError: if it holds another run, or one with other settings.
    """
    return CollectedRun.open(
        settings.out,
        source=source_address(settings.source),
        source_name=source_name,
        configuration=settings.records_depend_on(),
    )


@dataclass(frozen=True)
class GivenMasks:
    """The masks that photos begin with, by photo and mask; none where nobody gave any."""

    lookup: RowLookup | None

    @classmethod
    def of(cls, settings: AnnotateRun) -> GivenMasks:
        """Those of the run that the settings name."""
        return cls(None if settings.masks is None else RowLookup(Folder(settings.masks)))

    def get(self, image_id: str) -> Given:
        """A photo's."""
        row = None if self.lookup is None else self.lookup.get(image_id)
        return {} if row is None else {mask.mask_id: mask for mask in row.masks}


def collect_finished(
    settings: AnnotateRun, photos: Mapping[str, ImageRef], work: WorkFolder, model_id: str
) -> Summary:
    """Makes shards and reviews of what is finished and not collected yet.

    Args:
        settings: the run's.
        photos: by id.
        work: everybody's.
        model_id: of the model that the page answers with.
    """
    run = open_annotated(settings, next(iter(photos.values())).source)
    given = GivenMasks.of(settings)
    run = keep_answers(run, _new_answers(settings, run, photos, work, given, model_id))
    rows = RowMaker(
        mask_labels(settings.names),
        settings.winner,
        settings.limits,
        settings.round,
        settings.row_stage,
    )
    summary = make_answered_shards(run, rows)
    review_collected(run, rows)
    return summary


def _new_answers(
    settings: AnnotateRun,
    run: CollectedRun,
    photos: Mapping[str, ImageRef],
    work: WorkFolder,
    given: GivenMasks,
    model_id: str,
) -> Iterator[Answer]:
    kept = run.kept
    for image in work.images():
        done = [one for one in work.of(image) if one.done]
        if image not in photos or len(done) < settings.annotators:
            continue
        entries_of = partial(
            click_entries, project=settings.project, image_id=image, model_id=model_id
        )
        content = content_of(done[: settings.annotators], given.get(image), entries_of)
        fingerprint, known = content.fingerprint(), kept.get(image)
        if known is None:
            yield Answer(photos[image], 0, fingerprint, content.to_text())
        elif known.fingerprint != fingerprint:
            yield Answer(photos[image], known.revision + 1, fingerprint, content.to_text())


def content_of(done: list[SentWork], given: Given, entries_of: EntriesOf) -> Content:
    """An answer in the form that Label Studio's have, so that one code makes records of both."""
    return Content(
        drawings=[_drawing(work, given, entries_of(work)) for work in done],
        prefilled=given,
    )


def _drawing(work: SentWork, given: Given, entries: list[ClickEntry]) -> Drawing:
    masks = [mask for mask in work.masks if mask.verdict != "reject"]
    regions = [region for mask in masks if (region := _region(mask, given)) is not None]
    if work.exhaustive:
        regions.append(_exhaustive())
    ended = datetime.fromtimestamp(work.ended or 0.0, UTC)
    return Drawing(
        annotator=work.annotator,
        lead_seconds=work.seconds,
        skipped=work.done == "skip",
        result=regions,
        efforts=effort_by_region(entries, {mask.id for mask in masks}),
        at=ended.isoformat(),
        looked=work.looked,
    )


def _region(mask: SentMask, given: Given) -> Json | None:
    """A mask as a region: its outline where it is as it was, else its pixels."""
    label = mask.label or OBJECT
    before = given.get(mask.id)
    if mask.segmentation is not None:
        segmentation = mask.segmentation.as_rle()
        patch = MaskPatch(rle.decode(segmentation), 0, 0)
        score = mask.predicted_iou or 0.0
        region = MaskRegion(mask.id, patch, segmentation.size_hw, label, score)
        return region.as_json(LabelSetUp())
    if before is None:
        return None
    return polygon_region(
        mask.id,
        rle.decode(before.segmentation),
        control=OUTLINE_CONTROL,
        shown_on=IMAGE_CONTROL,
        label=mask.label or before.category or OBJECT,
        score=None,
    )


def _exhaustive() -> Json:
    return {
        "id": "exhaustive",
        "type": "choices",
        "from_name": EXHAUSTIVE_CONTROL,
        "to_name": IMAGE_CONTROL,
        "value": {"choices": [EXHAUSTIVE_CHOICE]},
    }

"""The masks that prefill tasks: made once, and kept exactly, in a run of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.semi.settings import SemiRun
from model.boxes import BoxDetector
from model.errors import ConfigurationError, RecordError
from model.segmenter import PromptableSegmenter
from pipelines.imported import write_imported_run
from pipelines.manifest import usable_cores
from pipelines.progress import ProgressCallback, ignore_progress
from pipelines.promised_model import CheckpointSegmenter
from pipelines.reading import read_photo
from pipelines.sources import list_photos, source_address
from pipelines.summary import Summary
from stages.photos import decode_photo
from stages.records import ErrorRecord, ImageRef, ImageRow
from stages.semi_automatic import (
    SEMI_AUTOMATIC,
    SemiAutomaticParameters,
    propose_from_boxes,
)


@dataclass(frozen=True, eq=False)
class ProposingModel:
    """What makes proposals.

    Attributes:
        segmenter: the promptable model.
        detector: trained on its embeddings.
        parameters: with both thresholds settled.
    """

    segmenter: PromptableSegmenter
    detector: BoxDetector
    parameters: SemiAutomaticParameters


def load_model(settings: SemiRun) -> ProposingModel:
    """Loads both networks.

    Raises:
        CheckpointError: if one of their files is missing, broken or foreign.
        ConfigurationError: if the detector was trained for another model.
    """
    from model.checkpoints import read_card
    from model.detection.detector import load_detector, read_detector_card

    promised = read_detector_card(settings.detector).parent
    card = read_card(settings.checkpoint)
    if promised != card.model_id:
        raise ConfigurationError(
            f"{settings.detector}: reads embeddings of model {promised}, but {settings.checkpoint} "
            f"is {card.model_id}. Train a detector for it: `mask-engine train-detector CONFIG "
            f"--set checkpoint={settings.checkpoint}`"
        )
    advice = None if card.thresholds is None else dataclasses.asdict(card.thresholds)
    threads = settings.threads or usable_cores()
    return ProposingModel(
        CheckpointSegmenter(settings.checkpoint, settings.device, threads)(),
        load_detector(settings.detector),
        settings.parameters.settled(advice),
    )


def propose(
    settings: SemiRun,
    model: Callable[[], ProposingModel],
    *,
    photos: Sequence[ImageRef] | None = None,
    append: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> Summary:
    """Makes the proposals of every photo, or what is missing of them.

    Args:
        settings: the run's.
        model: gives the model.
        photos: some of the source's photos, sorted by path; all of them if None.
        append: whether photos may have come and gone since the proposals were begun.
        progress: called after every photo.

    Raises:
        ConfigurationError: if no photo was chosen, or there are proposals of another model,
            detector or setting.
    """
    refs = list_photos(settings.source, name=settings.source_name) if photos is None else photos
    if not refs:
        raise ConfigurationError(
            f"none of the photos of {settings.source} was chosen: there is nothing to propose"
        )
    loaded = model()
    return write_imported_run(
        settings.proposals,
        refs,
        lambda ref: _row(ref, settings, loaded),
        source=source_address(settings.source),
        configuration={
            "stage": SEMI_AUTOMATIC,
            "model_id": loaded.segmenter.model_id,
            "detector_id": loaded.detector.detector_id,
            "parameters": loaded.parameters.model_dump(mode="json"),
            "round": settings.round,
        },
        append=append,
        progress=progress,
    )


def _row(ref: ImageRef, settings: SemiRun, model: ProposingModel) -> ImageRow:
    try:
        photo = decode_photo(read_photo(ref.uri, settings.limits), settings.limits)
    except RecordError as error:
        return ImageRow(
            ref,
            SEMI_AUTOMATIC,
            round=settings.round,
            error=ErrorRecord(error.kind, str(error)),
        )
    proposed = propose_from_boxes(
        model.segmenter,
        model.detector,
        photo.pixels_HWC,
        image_id=ref.image_id,
        parameters=model.parameters,
    )
    return ImageRow(
        ref,
        SEMI_AUTOMATIC,
        width=photo.width,
        height=photo.height,
        sha256=photo.sha256,
        round=settings.round,
        masks=proposed.masks,
        dropped=proposed.dropped,
    )

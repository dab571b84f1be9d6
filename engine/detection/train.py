"""One training run of an object detector, from its configuration to its file; resumes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from engine.detection.features import EmbeddedViews, View, views_of
from engine.detection.measure import Judged, average_precision, judge, recall
from engine.detection.settings import DetectorRun
from engine.training.annotated import AnnotatedPhoto
from engine.training.claim import claim_folder
from engine.training.sources import read_photos
from model.detection.detector import ObjectDetector, load_detector, save_detector
from model.detection.training import DetectorExample, DetectorTrainer
from model.segmenter import PromptableSegmenter
from pipelines.manifest import usable_cores
from pipelines.promised_model import CheckpointSegmenter

DETECTOR_NAME: Final = "detector.safetensors"
STATE_NAME: Final = "state.pt"
STEPS_A_STATE: Final = 100
HELD_OUT: Final = "held out"

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Measured:
    """How good a detector is on photos that it did not learn from.

    Attributes:
        name: of the photos.
        photos: how many.
        recall: share of the known objects found at IoU 0.5, by 100 boxes a photo.
        average_precision: at IoU 0.5.
    """

    name: str
    photos: int
    recall: float
    average_precision: float


@dataclass(frozen=True)
class TrainedDetector:
    """What a finished run left.

    Attributes:
        path: the detector.
        detector_id: of its weights.
        model_id: of the promptable model whose embeddings it reads.
        photos: that it learned from.
        measured: on the photos kept aside, and on each source that was named for it.
        seconds: that this invocation took.
    """

    path: Path
    detector_id: str
    model_id: str
    photos: int
    measured: tuple[Measured, ...]
    seconds: float


def train_detector(
    settings: DetectorRun,
    *,
    segmenter: PromptableSegmenter | None = None,
    told: Told = lambda step, done, total: None,
) -> TrainedDetector:
    """Trains until all steps are done, going on where the folder stands.

    Args:
        settings: the run's.
        segmenter: the promptable model, in place of the configured checkpoint.
        told: what is being done, how much of it, of how much.

    Raises:
        ConfigurationError: if the folder belongs to another configuration, or a source is wrong.
    """
    started = time.perf_counter()
    threads = settings.threads or usable_cores()
    model = segmenter or CheckpointSegmenter(settings.checkpoint, settings.device, threads)()
    folder = Path(settings.out).expanduser()
    claim_folder(folder, settings.weights_depend_on(model.model_id), what="detector")
    learned, held_out = _split(settings)
    aside = {HELD_OUT: held_out} | {
        source.name: read_photos(source) for source in settings.measure_on
    }
    if not (folder / DETECTOR_NAME).exists():
        views = views_of(
            learned,
            mirrored=settings.mirrored,
            zoomed=settings.zoomed,
            seed=settings.schedule.seed,
        )
        embedded = EmbeddedViews(
            views,
            model,
            folder,
            told=lambda done, total: told("embedding", done, total),
        )
        trainer = _trained(settings, model, embedded, folder, told)
        save_detector(
            folder / DETECTOR_NAME,
            trainer.network,
            model_id=model.model_id,
            data=[source.name for source in settings.sources],
        )
    detector = load_detector(folder / DETECTOR_NAME)
    return TrainedDetector(
        path=folder / DETECTOR_NAME,
        detector_id=detector.detector_id,
        model_id=model.model_id,
        photos=len(learned),
        measured=tuple(
            _measured(name, photos, detector, model, told)
            for name, photos in aside.items()
            if photos
        ),
        seconds=time.perf_counter() - started,
    )


def _trained(
    settings: DetectorRun,
    model: PromptableSegmenter,
    embedded: EmbeddedViews,
    folder: Path,
    told: Told,
) -> DetectorTrainer:
    schedule = settings.schedule
    trainer = DetectorTrainer(model.input_size, schedule)
    if (folder / STATE_NAME).exists():
        trainer.load_state(folder / STATE_NAME)
    while not trainer.is_done:
        told("training", trainer.step, schedule.steps)
        trainer.learn(_batch(embedded, schedule.images_per_step, schedule.seed, trainer.step))
        if trainer.step % STEPS_A_STATE == 0:
            trainer.save_state(folder / STATE_NAME)
    return trainer


def _batch(embedded: EmbeddedViews, size: int, seed: int, step: int) -> list[DetectorExample]:
    """The examples of a step, the same whenever it is drawn."""
    draw = np.random.default_rng([seed, step])
    return [embedded.example(int(i)) for i in draw.integers(len(embedded), size=size)]


def _split(settings: DetectorRun) -> tuple[list[AnnotatedPhoto], list[AnnotatedPhoto]]:
    """Photos to learn from, and photos to measure on."""
    photos = [photo for source in settings.sources for photo in read_photos(source)]
    order = np.random.default_rng(settings.schedule.seed).permutation(len(photos))
    aside = int(len(photos) * settings.held_out_share)
    return [photos[i] for i in order[aside:]], [photos[i] for i in order[:aside]]


def _measured(
    name: str,
    photos: Sequence[AnnotatedPhoto],
    detector: ObjectDetector,
    model: PromptableSegmenter,
    told: Told,
) -> Measured:
    judged: list[Judged] = []
    for number, photo in enumerate(photos):
        told(f"measuring on {name}", number, len(photos))
        found = detector.find(model.embed(photo.read_image()))
        edges = found.boxes_xyxy + np.array([0, 0, 1, 1], np.float32)
        judged.append(judge(edges, found.scores, View(photo).boxes_xyxy))
    return Measured(name, len(photos), recall(judged), average_precision(judged))

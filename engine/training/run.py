"""One training run from its configuration to its checkpoint; resumes by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.console import note, progress
from engine.training.ahead import batches_ahead
from engine.training.claim import claim_folder, renew_claim
from engine.training.journal import Journal, draw_curves
from engine.training.overlays import overlay_sheet, write_png
from engine.training.parameters import TrainingConfiguration
from engine.training.sources import MixtureFactory
from model.errors import ConfigurationError, StopError
from model.training.examples import TrainingBatch, TrainingExample
from model.training.loop import LossIsNotANumberError
from model.training.session import TrainingSession
from model.training.threads import use_threads

CHECKPOINT_NAME = "checkpoint.safetensors"
MAY_CHANGE: Final = (
    "session.loop.steps",
    "session.loop.optimiser.learning_rate",
    "session.loop.optimiser.clip_norm",
)
"""What a run may go on with another value of: how long, and what helps where it diverged."""
OVERLAY_EXAMPLES = 6
OVERLAY_NUMBER = 10**9
"""Examples of this number and up are for looking at: training never gets so far."""


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run left: the checkpoint and how long this invocation took."""

    checkpoint: Path
    model_id: str
    steps: int
    seconds: float


def train_run(configuration: TrainingConfiguration, folder: Path) -> TrainingResult:
    """Train until the configured number of steps is done, going on where the folder stands.

    A folder's run may go on with other values of `MAY_CHANGE`; its log says from where on.

    Raises:
        ConfigurationError: the folder belongs to another configuration, or sources are wrong.
        StopError: the loss became NaN; the state before it is kept.
    """
    started = time.perf_counter()
    ours = configuration.model_dump(mode="json", exclude={"log", "threads"})
    changes = claim_folder(folder, ours, what="run", may_change=MAY_CHANGE)
    use_threads(configuration.threads)
    session = TrainingSession(configuration.session, folder)
    try:
        session.processes.wait()  # all have seen what the folder says before it changes
        journal = None
        if session.processes.is_first:
            journal = Journal(folder, configuration.log.figures_every_steps, session.step)
            if changes:
                journal.say_changed(session.step, changes)
                renew_claim(folder, ours)
        _train(session, configuration, folder, journal)
        if session.processes.is_first:
            _finish(session, configuration, folder)
        session.processes.wait()  # the others read what the first one writes
    finally:
        session.close()
    card = session.card_of(folder / CHECKPOINT_NAME)
    return TrainingResult(
        folder / CHECKPOINT_NAME, card.model_id, session.step, time.perf_counter() - started
    )


def _train(
    session: TrainingSession,
    configuration: TrainingConfiguration,
    folder: Path,
    journal: Journal | None,
) -> None:
    """Every step that is left; `journal` is the first process's, which alone keeps anything."""
    data, log = configuration.data, configuration.log
    factory = MixtureFactory(data, folder / "cache")
    batches = _batches(session, configuration, factory)
    looked_at = _examples_to_look_at(factory) if log.overlays_every_steps else []
    last_save = time.monotonic()
    with progress("training", "steps") as meter:
        while session.step < session.steps:
            try:
                figures = session.train_step(batches)
            except LossIsNotANumberError as error:
                raise StopError(str(error)) from error
            if journal is None:
                continue
            line = journal.add(figures)
            detail = f"loss {figures.loss:.3f}, IoU {figures.iou_first_round:.2f}"
            meter(session.step, session.steps, detail)
            if line and time.monotonic() - last_save >= log.save_every_seconds:
                _keep(session, configuration, folder)
                last_save = time.monotonic()
            if looked_at and session.step % log.overlays_every_steps == 0:
                _look(session, looked_at, folder)


def _batches(
    session: TrainingSession, configuration: TrainingConfiguration, factory: MixtureFactory
) -> Iterator[TrainingBatch]:
    """This process's share of the run's batches, from where the run stands."""
    data, processes = configuration.data, session.processes
    if data.images_per_step % processes.size:
        raise ConfigurationError(
            f"images_per_step is {data.images_per_step}, which {processes.size} processes "
            "cannot share evenly"
        )
    return batches_ahead(
        factory,
        first=session.batches_done * processes.size + processes.rank,
        examples=data.images_per_step // processes.size,
        processes=data.drawing_processes,
        stride=processes.size,
    )


def _examples_to_look_at(factory: MixtureFactory) -> list[TrainingExample]:
    mixture = factory()
    return [mixture.example(OVERLAY_NUMBER + i) for i in range(OVERLAY_EXAMPLES)]


def _look(session: TrainingSession, examples: list[TrainingExample], folder: Path) -> None:
    answers = [
        session.masks_of_clicks(e.image_SSC, [(float(x), float(y)) for x, y in e.points_M2])
        for e in examples
    ]
    sheet = overlay_sheet(examples, answers)
    write_png(folder / "overlays" / f"step-{session.step:07d}.png", sheet)


def _keep(session: TrainingSession, configuration: TrainingConfiguration, folder: Path) -> None:
    """The state, and what can be used and looked at should the run be stopped here."""
    session.save()
    try:
        session.export(folder / CHECKPOINT_NAME, configuration.data_names)
    except ValueError as error:  # the loss will soon be no number, and say what to do
        note(f"step {session.step}: no checkpoint written: {error}")
    draw_curves(folder)


def _finish(session: TrainingSession, configuration: TrainingConfiguration, folder: Path) -> None:
    session.save()
    session.export(folder / CHECKPOINT_NAME, configuration.data_names)
    if draw_curves(folder) is None:
        note("no curves.png: the log holds too few figures (log.figures_every_steps)")

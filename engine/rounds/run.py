"""The engine: from the ledger to the next step, until all is done or people have to do theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from engine.console import duration, note
from engine.rounds.changes import begin_anew, refuse_changes
from engine.rounds.collecting import known_photos
from engine.rounds.context import Context, Tools
from engine.rounds.entries import Entry, Outcome, StepKey
from engine.rounds.held_out import held_out_photos
from engine.rounds.ledger import BEGUN, Ledger, open_ledger, refuse_other_places
from engine.rounds.people import WAITING_FILE, WaitingForPeopleError
from engine.rounds.settings import EngineSettings
from engine.rounds.steps import Step, steps_of
from model.errors import ConfigurationError, StopError
from pipelines.lock import folder_lock
from pipelines.sources import list_photos
from pipelines.storage import Folder, is_full_disk
from stages.records import ImageRef

WORTH_TELLING_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Moment:
    """Something that happened to a step.

    Attributes:
        what: begun (nothing done yet), made (done, not in the ledger), committed (in the ledger).
        round, step: which one.
        entry: its entry, once it is committed.
    """

    what: Literal["begun", "made", "committed"]
    round: int
    step: str
    entry: Entry | None = None


Observer = Callable[[Moment], None]


@dataclass(frozen=True)
class Stopped:
    """Where a call ended.

    Attributes:
        ledger: as it stands.
        waiting: what the engine waits for, None if everything is done.
    """

    ledger: Ledger
    waiting: WaitingForPeopleError | None = None


def run_engine(
    settings: EngineSettings,
    *,
    tools: Tools | None = None,
    observe: Observer = lambda moment: None,
) -> Stopped:
    """Does every step that is not done, in order; killed anywhere, the next call goes on.

    Args:
        settings: the engine.
        tools: what makes models and trains them; the real ones if None.
        observe: called before a step, between its work and its commit, and after the commit.

    Raises:
        ConfigurationError: before any work: another call is at it, the folder is foreign, or the
            configuration has changed for what is done.
        StopError: if a step cannot be done; nothing of it is in the ledger.
    """
    folder = Folder(settings.out)
    refuse_other_places(folder)
    _refuse_missing_data(settings)
    with folder_lock(folder) as lock:
        ledger = open_ledger(settings.out, begin=True)
        refuse_changes(ledger, settings)
        for number, step in all_steps(settings):
            if ledger.find(number, step.name) is not None:
                continue
            ledger = begin_anew(ledger, settings, number, step)
            context = context_of(settings, number, ledger, tools or Tools(), step.name)
            try:
                ledger = _do(context, step, lock.check, observe)
            except WaitingForPeopleError as waiting:
                said = {"done": waiting.done, "asked": waiting.asked, "url": waiting.url}
                folder.write(context.place(WAITING_FILE), json.dumps(said).encode())
                return Stopped(ledger, waiting)
    return Stopped(ledger)


def _refuse_missing_data(settings: EngineSettings) -> None:
    """Looks for the pool and for both truths now, and not after hours of training."""
    source = settings.under_root(settings.pool.source)
    photos = list_photos(source, name=settings.pool.name)
    _refuse_few_held_out(settings)
    if settings.people.truth is not None:
        _refuse_strange_truth(Path(settings.under_root(settings.people.truth)), source, photos)


def _refuse_strange_truth(truth: Path, source: str, photos: Sequence[ImageRef]) -> None:
    known = known_photos(truth, source)
    if not any(photo.uri in known for photo in photos):
        raise ConfigurationError(
            f"{truth}: knows none of the {len(photos)} photos of {source}, so a simulated "
            "annotator would have nothing to go by. Nothing was started; give the COCO file that "
            "belongs to the pool (people.truth)."
        )


def _refuse_few_held_out(settings: EngineSettings) -> None:
    least, there = settings.least_held_out(), len(held_out_photos(settings)[0])
    if there < least:
        raise ConfigurationError(
            f"{settings.held_out.truth}: checkpoints would be compared on {there} held-out photos, "
            f"and gate.least_photos is {least}: what differs between photos cannot be told from "
            "fewer. Nothing was started; hold out more photos with objects (held_out.photos, "
            "held_out.masks), or lower gate.least_photos."
        )


def all_steps(settings: EngineSettings) -> Iterator[tuple[int, Step]]:
    """Every step of the engine with its round, in order."""
    rounds = len(settings.flat_rounds())
    for number in range(rounds + 1 + settings.controls):
        for step in steps_of(number, rounds):
            yield number, step


def context_of(
    settings: EngineSettings, number: int, ledger: Ledger, tools: Tools, step: str = ""
) -> Context:
    """What a step of a round gets."""
    rounds = settings.flat_rounds()
    its = rounds[number - 1] if 1 <= number <= len(rounds) else None
    return Context(settings, number, its, ledger, tools, step)


def _do(context: Context, step: Step, check: Callable[[], None], observe: Observer) -> Ledger:
    number = context.number
    depends_on = step.depends_on(context.settings, context.round)
    begun = context.place(BEGUN.format(step=step.name))
    observe(Moment("begun", number, step.name))
    context.folder.write(begun, json.dumps(depends_on, indent=1, sort_keys=True).encode())
    started = time.monotonic()
    note(f"round {number}, {step.name}: {step.what}")
    outcome = _made(context, step)
    seconds = time.monotonic() - started
    observe(Moment("made", number, step.name))
    check()
    key = StepKey(number, context.ledger.generation(number, step.name), step.name)
    ledger = context.ledger.with_step(key, outcome, depends_on, seconds)
    observe(Moment("committed", number, step.name, ledger.entries[-1]))
    if outcome.reason:
        note(f"  {outcome.reason}")
    if seconds >= WORTH_TELLING_SECONDS:
        spent = sum(entry.seconds for entry in ledger.standing)
        note(f"  took {duration(seconds)}; {duration(spent)} in all")
    return ledger


def _made(context: Context, step: Step) -> Outcome:
    """Does a step; a full disk is told as one, whatever met it."""
    try:
        return step.make(context)
    except Exception as error:
        local = context.local_root()
        if isinstance(error, StopError) or not is_full_disk(error, local):
            raise
        raise StopError(
            f"round {context.number}, {step.name}: the disk is full ({error}). Nothing of the step "
            f"is in the ledger, and what is finished stays. Free some space at {local} and run "
            "the same command again: it goes on from here."
        ) from error

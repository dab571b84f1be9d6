"""How far the people are with the masks of a verify step: the numbers behind `verify status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from engine.assist.collecting import sent_tasks
from engine.assist.connection import Connection, connection_of
from engine.assist.progress import ServerProgress, task_counts
from engine.verify.chosen_file import read_chosen
from engine.verify.settings import VerifyRun
from pipelines.reviews import read_reviews
from pipelines.storage import Folder
from stages.reviews import ACCEPT, FIX, REJECT, ReviewRecord


@dataclass(frozen=True)
class VerifyProgress(ServerProgress):
    """How far the people are, and what those say whose verdicts were collected.

    Attributes:
        accept, reject, fix: verdicts on the chosen masks in the run's reviews, the latest of each
            person on each mask; where masks were sent again, earlier steps' too.
    """

    accept: int
    reject: int
    fix: int


def status(settings: VerifyRun, *, connection: Connection | None = None) -> VerifyProgress:
    """Asks the server how far the people are, and the run what was collected.

    Raises:
        ConfigurationError: if nothing was sent yet, or it was of another run.
    """
    tasks = settings.tasks()
    chosen = frozenset(mask.mask_id for mask in read_chosen(Folder(settings.out), settings))
    with connection_of(settings.server, connection) as server:
        project, sent = sent_tasks(tasks, server.studio)
        counts = task_counts(tasks, server.studio, project, sent)
    latest = _latest_reviews(Folder(settings.run), chosen)
    verdicts = Counter(review.verdict for review in latest)
    return VerifyProgress(
        **counts,
        collected=len({review.mask_id for review in latest}),
        accept=verdicts[ACCEPT],
        reject=verdicts[REJECT],
        fix=verdicts[FIX],
    )


def _latest_reviews(run: Folder, masks: Set[str]) -> list[ReviewRecord]:
    """The last verdict of each person on each of these masks."""
    reviews = (review for review in read_reviews(run) if review.mask_id in masks)
    return list({(review.mask_id, review.annotator): review for review in reviews}.values())

"""How far the people are, and what came of it: the numbers behind `assist status` and `collect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.assist.answer_content import SKIPPED, Content
from engine.assist.collecting import sent_run
from engine.assist.connection import Connection
from engine.assist.drawn_masks import CORRECTED, REJECTED
from engine.assist.rows import drawn_by_each, mean_agreements
from engine.assist.settings import SLOW_SECONDS, AssistRun
from engine.backend.labels import IMAGE_ID_KEY
from engine.label_studio.client import LabelStudio
from engine.label_studio.labelling_config import mask_labels
from pipelines.answers import SentPhoto, kept_answers, read_answers
from pipelines.collect import CollectedRun
from pipelines.row_lookup import RowLookup
from pipelines.shards import read_rows
from stages.records import ImageRow

MOST_PROBLEMS: Final = 20
# What people are asked for where a task begins with masks: their reviews count it.
_VERDICTS: Final = frozenset({REJECTED, CORRECTED})


@dataclass(frozen=True)
class ServerProgress:
    """How far the people are, as the server says.

    Attributes:
        chosen: photos (or masks, to be verified) that are to have a task.
        sent: of these, those whose task was seen on the server, now or before.
        there: of these, tasks on the server now.
        begun: tasks that at least one person did.
        finished: tasks that enough people did.
        waiting: tasks on the server that are not finished.
        skipped: tasks that somebody skipped.
        collected: photos that have a row (masks that have a review).
    """

    chosen: int
    sent: int
    there: int
    begun: int
    finished: int
    waiting: int
    skipped: int
    collected: int


@dataclass
class Harvest:
    """What the collected rows hold.

    Attributes:
        photos: with a row.
        masks: in all of them.
        exhaustive: photos where somebody says that every object has its mask.
        empty: photos where nobody drew anything, and nobody skipped.
        skipped: photos that were skipped.
        slow: masks that took longer than the paper allows (30 s).
        clicked: masks made by clicking; the others were drawn by hand.
        seconds: of all masks.
        clicks: of all clicked masks.
        dropped: regions that gave no mask, by reason.
        problems: photos that have none for another reason than being skipped, and dropped
            regions: a sentence each, the first few.
        agreement: mean best IoU between annotators, where there are several.
    """

    photos: int = 0
    masks: int = 0
    exhaustive: int = 0
    empty: int = 0
    skipped: int = 0
    slow: int = 0
    clicked: int = 0
    seconds: float = 0.0
    clicks: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    agreement: float | None = None

    def add(self, row: ImageRow) -> None:
        """Counts a row."""
        self.photos += 1
        self.masks += len(row.masks)
        self.exhaustive += bool(row.exhaustive)
        self.dropped.update(row.dropped)
        if row.error is not None:
            self._add_error(row)
        elif not row.masks:
            self.empty += 1
        for mask in row.masks:
            self.slow += (mask.seconds or 0.0) > SLOW_SECONDS
            self.clicked += mask.seconds_from == "clicks"
            self.seconds += mask.seconds or 0.0
            self.clicks += mask.clicks or 0
        for reason, count in row.dropped.items():
            if reason not in _VERDICTS:
                self._say(f"{row.ref.path}: {count} dropped ({reason})")

    def _add_error(self, row: ImageRow) -> None:
        if row.error is None or row.error.type == SKIPPED:
            self.skipped += 1
        else:
            self._say(f"{row.ref.path}: {row.error.type}: {row.error.message}")

    def _say(self, problem: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def server_progress(settings: AssistRun, connection: Connection) -> ServerProgress:
    """Asks the server how far the people are.

    Raises:
        ConfigurationError: if nothing was sent yet.
    """
    run, project, chosen = sent_run(settings, connection.studio)
    counts = task_counts(settings, connection.studio, project, chosen)
    return ServerProgress(**counts, collected=run.plan.photos)


def task_counts(
    settings: AssistRun, studio: LabelStudio, project: int, chosen: Mapping[str, SentPhoto]
) -> dict[str, int]:
    """What a list of the project's tasks says: all of `ServerProgress` but what was collected.

    That a photo was to be sent says nothing: sending may have broken off. Those of which the server
    has, or had, a task were.
    """
    sent = {image for image, photo in chosen.items() if photo.confirmed}
    there: set[str] = set()
    counts: Counter[str] = Counter()
    for task in studio.tasks(project):
        image = str(task["data"].get(IMAGE_ID_KEY))
        if image not in chosen or image in there:
            continue
        there.add(image)
        done = task["total_annotations"] + task["cancelled_annotations"]
        counts["begun"] += done > 0
        counts["finished"] += done >= settings.annotators
        counts["skipped"] += task["cancelled_annotations"] > 0
    return {
        "chosen": len(chosen),
        "sent": len(sent | there),
        "there": len(there),
        "begun": counts["begun"],
        "finished": counts["finished"],
        "waiting": len(there) - counts["finished"],
        "skipped": counts["skipped"],
    }


def harvest(settings: AssistRun, run: CollectedRun) -> Harvest:
    """Counts what the run's rows hold; one row group in memory at a time."""
    counted = Harvest()
    if not run.plan.shards:
        return counted
    columns = ["masks", "dropped", "exhaustive"]
    for row in read_rows(settings.out, columns=columns):
        counted.add(row)
    if settings.annotators > 1:
        scores = list(_agreements(settings, run))
        counted.agreement = sum(scores) / len(scores) if scores else None
    return counted


def _agreements(settings: AssistRun, run: CollectedRun) -> Iterator[float]:
    """The mean agreement on each photo that several people did."""
    labels = mask_labels(settings.names)
    rows = RowLookup(run.folder)
    for image, kept in kept_answers(run.folder, run.plan.shards).items():
        row = rows.get(image)
        if row is None or row.error is not None or row.width is None or row.height is None:
            continue
        content = Content.from_text(read_answers(run.folder, kept.shard)[image].content)
        drawn = drawn_by_each(content, image, (row.height, row.width), labels)
        if len(drawn) > 1:
            scores = mean_agreements(drawn)
            yield sum(scores) / len(scores)

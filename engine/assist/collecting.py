"""What people finished becomes shards. The server is asked; nothing depends on it calling us.

A task is looked at again only if the server says that it changed, and becomes a new revision only
if its content did, so collecting twice changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.assist.answer_content import INTERNAL, TASK_DELETED, Content
from engine.assist.connection import Connection, find_project
from engine.assist.reviewing import review_collected
from engine.assist.rows import RowMaker
from engine.assist.sending import open_run
from engine.assist.settings import AssistRun
from engine.assist.task_content import PrefilledOf, TaskReader
from engine.backend.labels import IMAGE_ID_KEY
from engine.label_studio.client import Json, LabelStudio
from engine.label_studio.labelling_config import mask_labels
from model.errors import ConfigurationError
from pipelines.answers import Answer, Kept, SentPhoto, read_sent
from pipelines.collect import CollectedRun, keep_answers, make_answered_shards
from pipelines.lock import Lock
from pipelines.removals import removed_ids
from pipelines.run_folder import alone_at
from pipelines.storage import Folder
from pipelines.summary import Summary
from stages import ids
from stages.records import ImageRef

LOGGER = logging.getLogger(__name__)

UNKNOWN_PATH: Final = "label-studio/task"
# Before the time at which a task was read whose clicks were not in the log of prompts.
UNLOGGED: Final = "unlogged "
Told = Callable[[int, int], None]


@dataclass
class Collected:
    """What one collection found.

    Attributes:
        finished: tasks that people finished.
        fresh: photos answered for the first time.
        changed: photos whose answer is another than before.
        gone: photos collected before whose task is no more on the server; their masks stay.
        summary: of the whole run.
        warning: what is amiss with the log of prompts, and what to do; empty if nothing is.
    """

    finished: int = 0
    fresh: int = 0
    changed: int = 0
    gone: list[str] = field(default_factory=list)
    summary: Summary | None = None
    warning: str = ""


def collect(
    settings: AssistRun,
    connection: Connection,
    *,
    told: Told = lambda done, total: None,
    prefilled_of: PrefilledOf = lambda ref: {},
) -> Collected:
    """Asks for what is new, keeps it, and makes it shards.

    Args:
        settings: the run's.
        connection: to the server.
        told: how many tasks were looked at, of how many.
        prefilled_of: what a photo's task began with.

    Raises:
        ConfigurationError: if nothing was sent yet.
        BusyError: if another call changes the run.
        ServerUnavailableError: if the server goes away; what came until then is kept, and
            collecting again goes on.
    """
    if not read_sent(Folder(settings.out)):
        raise _nothing_sent(settings)
    with alone_at(settings.out) as lock:
        return _collect(settings, connection, told, prefilled_of, lock)


def _collect(
    settings: AssistRun,
    connection: Connection,
    told: Told,
    prefilled_of: PrefilledOf,
    lock: Lock,
) -> Collected:
    run, project, sent = sent_run(settings, connection.studio)
    if run.pending:  # what a collection before this one kept: corrections look for their parents
        make_answered_shards(run, row_maker(settings))
    found = Collected()
    tasks = TaskReader(settings, connection.studio, run.folder, project, sent, prefilled_of)
    search = _Search(settings, connection.studio, run, found, tasks)
    run = keep_answers(run, search.new_answers(told), check=lock.check)
    found.summary = make_answered_shards(run, row_maker(settings))
    review_collected(run, row_maker(settings))
    found.warning = _log_warning(settings, len(tasks.unlogged))
    return found


def _log_warning(settings: AssistRun, unlogged: int) -> str:
    if settings.backend is None:
        return ""
    folder = settings.backend.click_log_folder
    cure = (
        "Set backend.click_log to the folder that `mask-engine serve` writes (its --clicks; a "
        "relative one is below the place where it was started) before more is collected."
    )
    if folder is None:
        return f"backend.click_log is not set, so clicked masks count as drawn by hand. {cure}"
    if not folder.is_dir():
        return f"{folder}: no log of prompts, so clicked masks count as drawn by hand. {cure}"
    if unlogged:
        return (
            f"{folder}: no clicks of {unlogged} collected tasks whose masks the click backend "
            f"seems to have made: they count as drawn by hand. {cure}"
        )
    return ""


def sent_run(
    settings: AssistRun, studio: LabelStudio
) -> tuple[CollectedRun, int, dict[str, SentPhoto]]:
    """The run, its project and the photos that were to be sent.

    Raises:
        ConfigurationError: if nothing was sent yet.
    """
    project, sent = sent_tasks(settings, studio)
    return open_run(settings, next(iter(sent.values())).ref.source), project, sent


def sent_tasks(settings: AssistRun, studio: LabelStudio) -> tuple[int, dict[str, SentPhoto]]:
    """The project, and the photos that were to be sent: the confirmed ones had a task there.

    Raises:
        ConfigurationError: if nothing was sent yet.
    """
    folder = Folder(settings.out)
    sent = read_sent(folder)
    project = find_project(studio, settings, folder) if sent else None
    if project is None:
        raise _nothing_sent(settings)
    return project, sent


def _nothing_sent(settings: AssistRun) -> ConfigurationError:
    return ConfigurationError(
        f"{settings.out}: nothing was sent yet. `{settings.send_command()}` comes first."
    )


def row_maker(settings: AssistRun) -> RowMaker:
    """What makes this run's answers rows."""
    return RowMaker(
        mask_labels(settings.names),
        settings.winner,
        settings.limits,
        settings.round,
        settings.stage,
    )


@dataclass
class _Search:
    """A look through the project's tasks for what is new."""

    settings: AssistRun
    studio: LabelStudio
    run: CollectedRun
    found: Collected
    tasks: TaskReader

    def new_answers(self, told: Told) -> Iterator[Answer]:
        """Answers that differ from what is kept, one task in memory at a time."""
        kept = self.run.kept
        # What was taken out counts as seen: nobody asks for it again.
        seen: set[str] = set(removed_ids(self.run.folder))
        total = len(self.tasks.sent)
        for place, task in enumerate(self.studio.tasks(self.tasks.project), start=1):
            told(min(place, total), total)
            ref = self._ref(task)
            if ref.image_id not in seen:
                seen.add(ref.image_id)
                yield from self._if_finished(ref, task, kept.get(ref.image_id))
        yield from self._not_listed(seen, kept)

    def _if_finished(self, ref: ImageRef, task: Json, kept: Kept | None) -> Iterator[Answer]:
        done = task["total_annotations"] + task["cancelled_annotations"]
        if int(done) >= self.settings.annotators:
            self.found.finished += 1
            yield from self._if_new(ref, task, kept)

    def _ref(self, task: Json) -> ImageRef:
        """The photo that was sent, or a reference of its own for a task that was not."""
        sent = self.tasks.sent.get(str(task["data"].get(IMAGE_ID_KEY)))
        if sent is not None:
            return sent.ref
        source = next(iter(self.tasks.sent.values())).ref.source
        path = f"{UNKNOWN_PATH}-{task['id']}"
        return ImageRef(ids.image_id(source, path), source, path, f"{self.studio.url}/{path}")

    def _if_new(self, ref: ImageRef, task: Json, kept: Kept | None) -> Iterator[Answer]:
        updated, _, digest = kept.fingerprint.partition("|") if kept else ("", "", "")
        if updated == task["updated_at"] or self._is_still_unlogged(updated, task):
            return
        content = self.tasks.content(ref, task, kept)
        now = content.fingerprint()
        if now == digest:
            return
        failed = content.problem is not None and content.problem[0] == INTERNAL
        looked_at = "" if failed else task["updated_at"]  # a better version may make more of it
        if self.settings.backend is not None and task["id"] in self.tasks.unlogged:
            looked_at = f"{UNLOGGED}{looked_at}"
        yield self._answer(ref, f"{looked_at}|{now}", content, kept)

    def _is_still_unlogged(self, updated: str, task: Json) -> bool:
        """Whether a task was read without its log of prompts, which is not there now either.

        Where it is, the task is read again, and its clicked masks get their clicks and seconds.
        """
        known = updated == f"{UNLOGGED}{task['updated_at']}"
        if not known or self.tasks.entries(task["id"]):
            return False
        self.tasks.unlogged.add(task["id"])
        return True

    def _answer(
        self, ref: ImageRef, fingerprint: str, content: Content, kept: Kept | None
    ) -> Answer:
        if kept is None:
            self.found.fresh += 1
        else:
            self.found.changed += 1
        return Answer(ref, kept.revision + 1 if kept else 0, fingerprint, content.to_text())

    def _not_listed(self, seen: set[str], kept: Mapping[str, Kept]) -> Iterator[Answer]:
        """Photos that were sent and whose task was on no page of the list."""
        for image, photo in self.tasks.sent.items():
            if image in seen or not photo.confirmed:
                continue
            task = self._still_there(photo)
            if task is not None:
                yield from self._if_finished(photo.ref, task, kept.get(image))
            elif image not in kept:
                message = f"{photo.ref.path}: its task was deleted on the server before it was done"
                content = Content(problem=(TASK_DELETED, message))
                yield self._answer(photo.ref, f"|{content.fingerprint()}", content, None)
            elif self.tasks.kept_content(image, kept[image]).problem is None:
                self.found.gone.append(photo.ref.path)

    def _still_there(self, photo: SentPhoto) -> Json | None:
        """A photo's task, asked for by its number: a list loses some while others are deleted."""
        task = None if photo.task is None else self.studio.find_task(photo.task)
        if task is None or task["data"].get(IMAGE_ID_KEY) != photo.ref.image_id:
            return None
        skipped = sum(bool(annotation["was_cancelled"]) for annotation in task["annotations"])
        done = len(task["annotations"]) - skipped
        return task | {"total_annotations": done, "cancelled_annotations": skipped}

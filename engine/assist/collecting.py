"""What people finished becomes shards. The server is asked; nothing depends on it calling us.

A task is looked at again only if the server says that it changed, and becomes a new revision only
if its content did, so collecting twice changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.assist.answer_content import (
    TASK_DELETED,
    TASK_EDITED,
    UNKNOWN_ID,
    Before,
    Content,
    Drawing,
)
from engine.assist.connection import Connection, find_project
from engine.assist.reviewing import review_collected
from engine.assist.rows import RowMaker, drawn_by_each
from engine.assist.sending import open_run
from engine.assist.settings import AssistRun
from engine.backend.labels import IMAGE_ID_KEY, IMAGE_KEY
from engine.clicks.effort import effort_by_region
from engine.clicks.log import ClickLog
from engine.label_studio.client import Json, LabelStudio
from engine.label_studio.labelling_config import mask_labels
from model.errors import ConfigurationError
from pipelines.answers import Answer, Kept, SentPhoto, read_answers, read_sent
from pipelines.collect import CollectedRun, keep_answers, make_answered_shards
from pipelines.storage import Folder
from pipelines.summary import Summary
from stages import ids
from stages.records import ImageRef, MaskRecord

LOGGER = logging.getLogger(__name__)

UNKNOWN_PATH: Final = "label-studio/task"
Told = Callable[[int, int], None]
# The exact masks that a photo's task began with, by the id of their region.
PrefilledOf = Callable[[ImageRef], Mapping[str, MaskRecord]]


@dataclass
class Collected:
    """What one collection found.

    Attributes:
        finished: tasks that people finished.
        fresh: photos answered for the first time.
        changed: photos whose answer is another than before.
        gone: photos collected before whose task is no more on the server; their masks stay.
        summary: of the whole run.
    """

    finished: int = 0
    fresh: int = 0
    changed: int = 0
    gone: list[str] = field(default_factory=list)
    summary: Summary | None = None


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
        ServerUnavailableError: if the server goes away; what came until then is kept, and
            collecting again goes on.
    """
    run, project, sent = sent_run(settings, connection.studio)
    found = Collected()
    search = _Search(settings, connection.studio, run, project, sent, found, prefilled_of)
    run = keep_answers(run, search.new_answers(told))
    found.summary = make_answered_shards(run, row_maker(settings))
    review_collected(run)
    return found


def sent_run(
    settings: AssistRun, studio: LabelStudio
) -> tuple[CollectedRun, int, dict[str, SentPhoto]]:
    """The run, its project and the photos that were sent.

    Raises:
        ConfigurationError: if nothing was sent yet.
    """
    folder = Folder(settings.out)
    sent = read_sent(folder)
    project = find_project(studio, settings, folder)
    if project is None or not sent:
        raise ConfigurationError(
            f"{settings.out}: nothing was sent yet. `mask-engine {settings.command} send` comes "
            "first."
        )
    return open_run(settings, next(iter(sent.values())).ref.source), project, sent


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
    project: int
    sent: Mapping[str, SentPhoto]
    found: Collected
    prefilled_of: PrefilledOf

    def new_answers(self, told: Told) -> Iterator[Answer]:
        """Answers that differ from what is kept, one task in memory at a time."""
        kept = self.run.kept
        seen: set[str] = set()
        total = len(self.sent)
        for place, task in enumerate(self.studio.tasks(self.project), start=1):
            told(min(place, total), total)
            ref = self._ref(task)
            seen_before = ref.image_id in seen
            seen.add(ref.image_id)
            if self._is_finished(task) and not seen_before:
                self.found.finished += 1
                yield from self._if_new(ref, task, kept.get(ref.image_id))
        yield from self._deleted(seen, kept)

    def _is_finished(self, task: Json) -> bool:
        done = task["total_annotations"] + task["cancelled_annotations"]
        return int(done) >= self.settings.annotators

    def _ref(self, task: Json) -> ImageRef:
        """The photo that was sent, or a reference of its own for a task that was not."""
        sent = self.sent.get(str(task["data"].get(IMAGE_ID_KEY)))
        if sent is not None:
            return sent.ref
        source = next(iter(self.sent.values())).ref.source
        path = f"{UNKNOWN_PATH}-{task['id']}"
        return ImageRef(ids.image_id(source, path), source, path, f"{self.studio.url}/{path}")

    def _if_new(self, ref: ImageRef, task: Json, kept: Kept | None) -> Iterator[Answer]:
        updated, _, digest = kept.fingerprint.partition("|") if kept else ("", "", "")
        if updated == task["updated_at"]:
            return
        content = self._problem(ref, task) or self._drawn(ref, task, kept)
        now = content.fingerprint()
        if now == digest:
            return
        yield self._answer(ref, f"{task['updated_at']}|{now}", content, kept)

    def _answer(
        self, ref: ImageRef, fingerprint: str, content: Content, kept: Kept | None
    ) -> Answer:
        if kept is None:
            self.found.fresh += 1
        else:
            self.found.changed += 1
        return Answer(ref, kept.revision + 1 if kept else 0, fingerprint, content.to_text())

    def _problem(self, ref: ImageRef, task: Json) -> Content | None:
        """What makes a task useless, whatever was drawn in it."""
        sent = self.sent.get(ref.image_id)
        if sent is None:
            shown = str(task["data"].get(IMAGE_ID_KEY))[:80]
            message = f"task {task['id']}: its {IMAGE_ID_KEY} {shown!r} is none that was sent"
            return Content(problem=(UNKNOWN_ID, message))
        if task["data"].get(IMAGE_KEY) != sent.address:
            message = (
                f"task {task['id']} ({ref.path}): its photo's address was changed on the server, "
                "so nobody knows what was drawn on. Put it back, or delete the task and send again."
            )
            return Content(problem=(TASK_EDITED, message))
        return None

    def _drawn(self, ref: ImageRef, task: Json, kept: Kept | None) -> Content:
        annotations = sorted(self.studio.task(task["id"])["annotations"], key=lambda a: a["id"])
        drawings = [self._drawing(task, annotation) for annotation in annotations]
        prefilled = self.prefilled_of(ref)
        began = {
            id_: Before(m.mask_id, None, m.segmentation.counts) for id_, m in prefilled.items()
        }
        return Content(drawings, began | self._before(ref, kept), prefilled)

    def _drawing(self, task: Json, annotation: Json) -> Drawing:
        result = annotation["result"] or []
        regions = {str(region.get("id")) for region in result}
        log = self.settings.backend and self.settings.backend.click_log
        entries = ClickLog(log).entries(str(self.project), str(task["id"])) if log else []
        return Drawing(
            annotator=who_made(annotation),
            lead_seconds=float(annotation.get("lead_time") or 0.0),
            skipped=bool(annotation["was_cancelled"]),
            result=result,
            efforts=effort_by_region(entries, regions),
            at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        )

    def _before(self, ref: ImageRef, kept: Kept | None) -> dict[str, Before]:
        """The masks of the answer that is kept, by region."""
        if kept is None:
            return {}
        earlier = Content.from_text(read_answers(self.run.folder, kept.shard)[ref.image_id].content)
        labels = mask_labels(self.settings.names)
        return {
            region: Before(mask.mask_id, mask.derived_from, mask.segmentation.counts)
            for drawn in drawn_by_each(earlier, ref.image_id, None, labels)
            for region, mask in drawn.by_region.items()
        }

    def _deleted(self, seen: set[str], kept: Mapping[str, Kept]) -> Iterator[Answer]:
        """Photos that were sent and have no task any more."""
        for image, photo in self.sent.items():
            if image in seen or not photo.confirmed:
                continue
            if image in kept:
                self.found.gone.append(photo.ref.path)
                continue
            message = f"{photo.ref.path}: its task was deleted on the server before it was done"
            content = Content(problem=(TASK_DELETED, message))
            yield self._answer(photo.ref, f"|{content.fingerprint()}", content, None)


def who_made(annotation: Mapping[str, Any]) -> str:
    """Who made an annotation: the address they log in with, or their number."""
    by = annotation.get("completed_by")
    return str(by["email"] if isinstance(by, dict) and by.get("email") else f"user-{by}")

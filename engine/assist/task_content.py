"""From a task to an answer's content: what people drew in it, and all that is known about that."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from engine.assist.answer_content import (
    INTERNAL,
    TASK_EDITED,
    UNKNOWN_ID,
    Before,
    Content,
    Drawing,
)
from engine.assist.rows import drawn_by_each
from engine.assist.settings import AssistRun
from engine.backend.labels import IMAGE_ID_KEY, IMAGE_KEY
from engine.clicks.effort import effort_by_region
from engine.clicks.log import ClickEntry, ClickLog
from engine.label_studio.client import Json, LabelStudio
from engine.label_studio.labelling_config import mask_labels
from model.errors import MaskEngineError
from pipelines.answers import Kept, SentPhoto, read_answers
from pipelines.row_lookup import RowLookup
from pipelines.storage import Folder
from stages.records import ImageRef, MaskRecord

_ANSWERED: Final = re.compile("[0-9a-f]{32}")

LOGGER = logging.getLogger(__name__)

# The exact masks that a photo's task began with, by the id of their region.
PrefilledOf = Callable[[ImageRef], Mapping[str, MaskRecord]]


@dataclass
class TaskReader:
    """Reads the tasks of one project.

    Attributes:
        settings: the run's.
        studio: the server.
        run: the run's folder; every answer that is kept there has its row.
        project: its number.
        sent: the photos that were sent, by id.
        prefilled_of: what a photo's task began with.
        unlogged: tasks that were read whose masks the click backend made, though its log is empty.
    """

    settings: AssistRun
    studio: LabelStudio
    run: Folder
    project: int
    sent: Mapping[str, SentPhoto]
    prefilled_of: PrefilledOf
    unlogged: set[int] = field(default_factory=set)

    def content(self, ref: ImageRef, task: Json, kept: Kept | None) -> Content:
        """All that is known about a photo's task.

        Args:
            ref: the photo.
            task: as it stands in the list.
            kept: where the answer is that was collected before.

        Raises:
            MaskEngineError, OSError: what concerns more than this photo.
        """
        try:
            return self._problem(ref, task) or self._drawn(ref, task, kept)
        except (MaskEngineError, OSError):
            raise
        except Exception as error:
            LOGGER.warning("task %s: failed unexpectedly", task["id"], exc_info=True)
            return Content(problem=(INTERNAL, f"{type(error).__name__}: {error}"))

    def kept_content(self, image_id: str, kept: Kept) -> Content:
        """What was kept about a photo."""
        return Content.from_text(read_answers(self.run, kept.shard)[image_id].content)

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
        entries = self.entries(task["id"])
        everybodys = set().union(*(_region_ids(annotation) for annotation in annotations))
        drawings = [self._drawing(one, entries, everybodys) for one in annotations]
        prefilled = self.prefilled_of(ref)
        drawn = (region for drawing in drawings for region in drawing.regions)
        if not entries and any(_is_answered(region, prefilled) for region in drawn):
            self.unlogged.add(task["id"])
        return Content(drawings, self._before(ref, kept), prefilled)

    def entries(self, task: int) -> list[ClickEntry]:
        """What the log of prompts has of a task."""
        folder = self.settings.backend and self.settings.backend.click_log_folder
        return ClickLog(folder).entries(str(self.project), str(task)) if folder else []

    def _drawing(
        self, annotation: Json, entries: list[ClickEntry], everybodys: set[str]
    ) -> Drawing:
        result = annotation["result"] or []
        own = _region_ids(annotation)
        return Drawing(
            annotator=who_made(annotation),
            lead_seconds=float(annotation.get("lead_time") or 0.0),
            skipped=bool(annotation["was_cancelled"]),
            result=result if isinstance(result, list) else [result],
            efforts=effort_by_region(entries, own, everybodys - own),
            at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        )

    def _before(self, ref: ImageRef, kept: Kept | None) -> dict[str, dict[str, Before]]:
        """Masks that may be parents, by who drew them and by region: those that are in a row.

        What somebody drew whose masks did not count is in none.
        """
        row = self._rows.get(ref.image_id) if kept else None
        if kept is None or row is None:
            return {}
        earlier = self.kept_content(ref.image_id, kept)
        before = {annotator: dict(masks) for annotator, masks in earlier.before.items()}
        if row.error is not None or row.width is None or row.height is None:
            return before
        in_row = {mask.mask_id for mask in row.masks}
        labels = mask_labels(self.settings.names)
        for drawn in drawn_by_each(earlier, ref.image_id, (row.height, row.width), labels):
            masks = before.setdefault(drawn.annotator, {})
            for region, mask in drawn.by_region.items():
                if mask.mask_id in in_row:
                    masks[region] = Before(mask.mask_id, mask.derived_from, mask.segmentation)
        return before

    @cached_property
    def _rows(self) -> RowLookup:
        return RowLookup(self.run)


def _region_ids(annotation: Json) -> set[str]:
    result = annotation["result"] or []
    return {str(region.get("id")) for region in result if isinstance(region, dict)}


def _is_answered(region: Json, prefilled: Mapping[str, MaskRecord]) -> bool:
    """Whether the click backend made a mask, by its id (`engine.backend.answers`)."""
    known = str(region.get("id"))
    is_ours = _ANSWERED.fullmatch(known) is not None and known not in prefilled
    return is_ours and region.get("type") == "brushlabels"


def who_made(annotation: Mapping[str, Any]) -> str:
    """Who made an annotation: the address they log in with, or their number."""
    by = annotation.get("completed_by")
    return str(by["email"] if isinstance(by, dict) and by.get("email") else f"user-{by}")

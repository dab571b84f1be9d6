"""A task for each photo, once: what is missing is imported, what came twice is taken away.

The server knows no key that would make importing safe to repeat, and an answer that is lost says
nothing about whether the tasks are there. So every import is preceded by a look at what is there,
and followed by one that takes away what came twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.assist.photos_shown import Shown
from engine.backend.labels import IMAGE_ID_KEY, IMAGE_KEY
from engine.label_studio.client import LabelStudio
from engine.label_studio.errors import ServerUnavailableError
from engine.label_studio.labelling_config import PATH_KEY
from stages.records import ImageRef

TASKS_AN_IMPORT: Final = 100
TRIES: Final = 3

Told = Callable[[int, int], None]
# The regions that a photo's task begins with, and the model that made them; None for none.
Prefill = Callable[[ImageRef], dict[str, Any] | None]


@dataclass(frozen=True)
class TaskMaker:
    """Makes a photo's task.

    Attributes:
        way: in which the server shows photos.
        prefill: gives the prediction that a task begins with.
    """

    way: Shown
    prefill: Prefill

    def task(self, ref: ImageRef) -> dict[str, Any]:
        """As Label Studio imports it."""
        data = {IMAGE_KEY: self.way.address_of(ref), IMAGE_ID_KEY: ref.image_id, PATH_KEY: ref.path}
        prediction = self.prefill(ref)
        return {"data": data} if prediction is None else {"data": data, "predictions": [prediction]}


def task_ids(studio: LabelStudio, project: int) -> dict[str, list[int]]:
    """The project's tasks by the photo's id; more than one where it was sent twice."""
    found: dict[str, list[int]] = {}
    for task in studio.tasks(project):
        image = task["data"].get(IMAGE_ID_KEY)
        if isinstance(image, str):
            found.setdefault(image, []).append(int(task["id"]))
    return found


def import_missing(
    studio: LabelStudio, project: int, refs: Sequence[ImageRef], maker: TaskMaker, told: Told
) -> dict[str, list[int]]:
    """Looks, imports what is missing, and looks again until nothing is; gives the last look.

    Args:
        studio: the server.
        project: its number.
        refs: the photos.
        maker: makes their tasks.
        told: how many photos have one, of how many.

    Raises:
        ServerUnavailableError: if the server goes away; doing it again goes on.
    """
    for attempt in range(1, TRIES + 1):
        there = task_ids(studio, project)
        missing = [ref for ref in refs if ref.image_id not in there]
        if not missing:
            told(len(refs), len(refs))
            return there
        try:
            for first in range(0, len(missing), TASKS_AN_IMPORT):
                told(len(refs) - len(missing) + first, len(refs))
                part = missing[first : first + TASKS_AN_IMPORT]
                studio.import_tasks(project, [maker.task(ref) for ref in part])
        except ServerUnavailableError:
            if attempt == TRIES:
                raise
    return task_ids(studio, project)


def without_doubles(
    studio: LabelStudio, tasks: Mapping[str, Sequence[int]]
) -> tuple[dict[str, int], int]:
    """Of tasks for the same photo, keeps those that people worked on, else the first.

    Returns:
        A task of each photo, and how many were removed.
    """
    kept, removed = {image: same[0] for image, same in tasks.items()}, 0
    for image, same in tasks.items():
        if len(same) == 1:
            continue
        touched = {task: _is_touched(studio, task) for task in same}
        stay = [task for task in same if touched[task]] or same[:1]
        for spare in (task for task in same if task not in stay):
            studio.delete(f"/api/tasks/{spare}")
            removed += 1
        kept[image] = stay[0]
    return kept, removed


def _is_touched(studio: LabelStudio, task: int) -> bool:
    """Whether there is anybody's work in a task, as it is now: lists are old when they are read."""
    now = studio.find_task(task)
    return now is not None and bool(now["annotations"] or studio.drafts(task))

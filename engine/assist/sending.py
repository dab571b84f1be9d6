"""Photos become tasks, each once, however often sending is begun and wherever it breaks off.

The server knows no key that would make importing safe to repeat, and an answer that is lost says
nothing about whether the tasks are there. So every import is preceded by a look at what is there,
and followed by one that takes away what came twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.assist.connection import Connection, find_project, mark_of, remember_project
from engine.assist.photos_shown import Shown, add_storages, shown
from engine.assist.settings import AssistRun
from engine.assist.tied_backend import ensure_backend
from engine.backend.labels import IMAGE_ID_KEY, IMAGE_KEY
from engine.label_studio.client import LabelStudio
from engine.label_studio.errors import ServerUnavailableError
from engine.label_studio.labelling_config import PATH_KEY
from pipelines.answers import SentPhoto, read_sent, write_sent
from pipelines.collect import CollectedRun
from pipelines.sources import list_photos, source_address
from stages.records import ImageRef

TASKS_AN_IMPORT: Final = 100
TRIES: Final = 3

Told = Callable[[int, int], None]
# The regions that a photo's task begins with, and the model that made them; None for none.
Prefill = Callable[[ImageRef], dict[str, Any] | None]


@dataclass(frozen=True)
class Sent:
    """What sending did.

    Attributes:
        project: its id.
        url: where annotators begin.
        added: tasks that are new.
        there: tasks that were there before.
        removed: tasks that stood there twice.
    """

    project: int
    url: str
    added: int
    there: int
    removed: int


def send(
    settings: AssistRun,
    connection: Connection,
    *,
    photos: Sequence[ImageRef] | None = None,
    told: Told = lambda done, total: None,
    prefill: Prefill = lambda ref: None,
) -> Sent:
    """Makes the project if there is none, and gives it a task for each photo.

    Args:
        settings: the run's.
        connection: to the server.
        photos: some of the source's photos; all of them if None.
        told: how many photos have a task, of how many.
        prefill: a prediction that a photo's task begins with, as Label Studio imports it.

    Raises:
        ConfigurationError: before anything is changed, if it cannot work.
        ServerUnavailableError: if the server goes away; sending again goes on.
    """
    refs = photos or list_photos(settings.source, name=settings.source_name)
    way = shown(settings, refs, connection.home)
    run = open_run(settings, refs[0].source)
    # First what is meant, then what is done: whoever collects can tell our tasks from others.
    asked = {ref.image_id: SentPhoto(ref, way.address_of(ref), confirmed=False) for ref in refs}
    asked |= read_sent(run.folder)
    write_sent(run.folder, asked.values())
    studio = connection.studio
    project = ensure_project(settings, studio, run)
    add_storages(studio, project, way)
    ensure_backend(settings, studio, project)
    before = task_ids(studio, project)
    missing = [ref for ref in refs if ref.image_id not in before]
    removed = _import_all(studio, project, refs, _TaskMaker(way, prefill), told)
    sent_now = {ref.image_id for ref in refs}
    write_sent(
        run.folder,
        (replace(p, confirmed=p.confirmed or id_ in sent_now) for id_, p in asked.items()),
    )
    return Sent(
        project=project,
        url=f"{studio.url}/projects/{project}/data",
        added=len(missing),
        there=len(refs) - len(missing),
        removed=removed,
    )


def open_run(settings: AssistRun, source_name: str) -> CollectedRun:
    """The run's folder, begun or as it stands."""
    return CollectedRun.open(
        settings.out,
        source=source_address(settings.source),
        source_name=source_name,
        configuration=settings.records_depend_on(),
    )


def ensure_project(settings: AssistRun, studio: LabelStudio, run: CollectedRun) -> int:
    """The run's project, made if it is not there; its set-up follows the settings."""
    mark = mark_of(run.folder)
    wanted = {
        "title": settings.project,
        "description": mark,
        "label_config": settings.label_config(),
        "expert_instruction": settings.instructions.replace("\n", "<br>"),
        "show_instruction": True,
        "show_skip_button": True,
        "enable_empty_annotation": True,
        "maximum_annotations": settings.annotators,
        "skip_queue": "IGNORE_SKIPPED",
    }
    project = find_project(studio, settings, run.folder)
    if project is None:
        # First here, then there: one whose making is never answered is found again.
        remember_project(run.folder, studio, None, mark)
        project = int(studio.post("/api/projects", wanted)["id"])
    else:
        now = studio.project(project) or {}
        changes = {key: value for key, value in wanted.items() if now.get(key) != value}
        if changes:
            studio.patch(f"/api/projects/{project}", changes)
    remember_project(run.folder, studio, project, mark)
    return project


def task_ids(studio: LabelStudio, project: int) -> dict[str, list[Mapping[str, Any]]]:
    """The project's tasks by the photo's id; more than one where it was sent twice."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for task in studio.tasks(project):
        image = task["data"].get(IMAGE_ID_KEY)
        if isinstance(image, str):
            slim = {key: task[key] for key in ("id", "total_annotations", "cancelled_annotations")}
            found.setdefault(image, []).append(slim)
    return found


def _import_all(
    studio: LabelStudio, project: int, refs: Sequence[ImageRef], maker: _TaskMaker, told: Told
) -> int:
    """Looks, imports what is missing, and looks again until nothing is; then clears doubles."""
    for attempt in range(1, TRIES + 1):
        there = task_ids(studio, project)
        missing = [ref for ref in refs if ref.image_id not in there]
        if not missing:
            break
        try:
            for first in range(0, len(missing), TASKS_AN_IMPORT):
                told(len(refs) - len(missing) + first, len(refs))
                part = missing[first : first + TASKS_AN_IMPORT]
                studio.import_tasks(project, [maker.task(ref) for ref in part])
        except ServerUnavailableError:
            if attempt == TRIES:
                raise
    told(len(refs), len(refs))
    return _remove_doubles(studio, task_ids(studio, project))


@dataclass(frozen=True)
class _TaskMaker:
    """Makes a photo's task."""

    way: Shown
    prefill: Prefill

    def task(self, ref: ImageRef) -> dict[str, Any]:
        data = {IMAGE_KEY: self.way.address_of(ref), IMAGE_ID_KEY: ref.image_id, PATH_KEY: ref.path}
        prediction = self.prefill(ref)
        return {"data": data} if prediction is None else {"data": data, "predictions": [prediction]}


def _remove_doubles(studio: LabelStudio, tasks: Mapping[str, list[Mapping[str, Any]]]) -> int:
    """Of tasks for the same photo, keeps those that people worked on, else the first."""
    removed = 0
    for same in tasks.values():
        untouched = [t for t in same if not t["total_annotations"] + t["cancelled_annotations"]]
        spare = untouched if len(untouched) < len(same) else untouched[1:]
        for task in spare:
            studio.delete(f"/api/tasks/{task['id']}")
            removed += 1
    return removed

"""Photos become tasks, each once, however often sending is begun and wherever it breaks off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.assist.connection import Connection, find_project, mark_of, remember_project
from engine.assist.importing import (
    Prefill,
    TaskMaker,
    Told,
    import_missing,
    task_ids,
    without_doubles,
)
from engine.assist.photos_shown import add_storages, shown
from engine.assist.settings import AssistRun
from engine.assist.tied_backend import ensure_backend
from engine.label_studio.client import LabelStudio
from engine.label_studio.errors import ServerUnavailableError
from model.errors import ConfigurationError
from pipelines.answers import SentPhoto, read_sent, write_sent
from pipelines.collect import CollectedRun
from pipelines.run_folder import alone_at
from pipelines.sources import list_photos, source_address
from stages.records import ImageRef


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
        BusyError: if another call changes the run.
        ServerUnavailableError: if the server goes away; sending again goes on.
    """
    refs = _chosen(settings, photos)
    way = shown(settings, refs, connection.home)
    with alone_at(settings.out):
        return _send(settings, connection.studio, refs, TaskMaker(way, prefill), told)


def _send(
    settings: AssistRun,
    studio: LabelStudio,
    refs: Sequence[ImageRef],
    maker: TaskMaker,
    told: Told,
) -> Sent:
    run = open_run(settings, refs[0].source)
    # First what is meant, then what is done: whoever collects can tell our tasks from others.
    asked = {
        ref.image_id: SentPhoto(ref, maker.way.address_of(ref), confirmed=False) for ref in refs
    }
    asked |= read_sent(run.folder)
    write_sent(run.folder, asked.values())
    project = ensure_project(settings, studio, run)
    add_storages(studio, project, maker.way)
    ensure_backend(settings, studio, project)
    before = task_ids(studio, project)
    missing = [ref for ref in refs if ref.image_id not in before]
    there = import_missing(studio, project, refs, maker, told)
    tasks, removed = without_doubles(studio, there)
    write_sent(
        run.folder,
        (
            replace(photo, confirmed=True, task=tasks[image]) if image in tasks else photo
            for image, photo in asked.items()
        ),
    )
    lacking = sum(ref.image_id not in tasks for ref in refs)
    if lacking:
        raise ServerUnavailableError(
            f"{studio.url}: took {len(refs)} photos, but {lacking} have no task. Run the same "
            "command again; if it comes back, the server's own log says why."
        )
    return Sent(
        project=project,
        url=f"{studio.url}/projects/{project}/data",
        added=len(missing),
        there=len(refs) - len(missing),
        removed=removed,
    )


def _chosen(settings: AssistRun, photos: Sequence[ImageRef] | None) -> Sequence[ImageRef]:
    if photos is None:
        return list_photos(settings.source, name=settings.source_name)
    if not photos:
        raise ConfigurationError(
            f"none of the photos of {settings.source} was chosen, so there is nothing to send"
        )
    return photos


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

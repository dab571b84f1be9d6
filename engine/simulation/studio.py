"""A simulated annotator at a real Label Studio, through the very requests that a browser sends.

It opens tasks that nobody did, clicks by way of the server as the smart tool does, and submits
with the time it took. Its regions say that they were simulated, and so do the records they become.
A task that cannot be done is counted and named; the others are done.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.assist.connection import Connection, find_project
from engine.assist.settings import AssistRun
from engine.backend.conversation import Conversation
from engine.backend.labels import CLICK_CONTROL, IMAGE_CONTROL, IMAGE_ID_KEY
from engine.backend.prompts import regions_of
from engine.evaluation.truth import TruthPhoto, read_truth
from engine.label_studio.brush import decode_brush
from engine.label_studio.client import LabelStudio
from engine.simulation.annotator import AnnotatorParameters, Shown
from engine.simulation.studio_task import Outcome, TaskWork, work_on_task
from model.errors import ConfigurationError, RecordError
from pipelines.answers import read_sent
from pipelines.sources import source_address
from pipelines.storage import Folder

Json = dict[str, Any]
Told = Callable[[int, int], None]

MOST_PROBLEMS: Final = 20
# Of annotations: submitting again what was submitted before a connection broke adds nothing.
_NAMESPACE: Final = uuid.UUID("7b3c1a52-5d0e-4a53-9d43-1d2f6f0a8c11")


@dataclass
class Worked(Outcome):
    """What a simulated annotator did in all the `tasks` that it submitted.

    Attributes:
        tasks: that it submitted.
        failed: tasks that could not be done; they stay open.
        problems: of these the first few, a sentence each.
    """

    tasks: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, work: Outcome) -> None:
        """Counts one more task."""
        self.tasks += 1
        for counted in fields(Outcome):
            name = counted.name
            setattr(self, name, getattr(self, name) + getattr(work, name))

    def add_failed(self, task: int, problem: RecordError) -> None:
        """Counts one that could not be done."""
        self.failed += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(f"task {task}: {problem}")


@dataclass
class StudioAnswers:
    """Masks by way of the server, for the task that is open.

    Attributes:
        studio: the server.
        backend: the click backend's number there.
        model_id: the model behind it.
    """

    studio: LabelStudio
    backend: int
    model_id: str
    _task: int = field(default=0, init=False)
    _size_hw: tuple[int, int] = field(default=(1, 1), init=False)
    last_region: Json | None = field(default=None, init=False)

    def look_at(self, task: int, size_hw: tuple[int, int]) -> None:
        """Opens a task."""
        self._task, self._size_hw = task, size_hw

    def show(self, conversation: Conversation) -> Shown:
        """The answer to a conversation about the photo in view."""
        x, y = conversation.prompt.points_xy[0]
        prompts = [
            prompt
            | {
                "id": f"{x:g}-{y:g}-{place}",
                "from_name": CLICK_CONTROL,
                "to_name": IMAGE_CONTROL,
            }
            for place, prompt in enumerate(regions_of(conversation, self._size_hw))
        ]
        answer = self.studio.post(
            f"/api/ml/{self.backend}/interactive-annotating",
            {"task": self._task, "context": {"result": prompts}},
        )
        if answer.get("errors"):
            raise RecordError("no_answer", f"the click backend gave none ({answer['errors']})")
        result = (answer.get("data") or {}).get("result") or []
        self.last_region = result[0] if result else None
        if self.last_region is None:
            return Shown(np.zeros(self._size_hw, np.bool_), None)
        try:
            mask_HW = decode_brush(self.last_region["value"]["rle"], self._size_hw)
        except (LookupError, TypeError, ValueError) as error:
            raise RecordError("no_answer", f"what came back is no mask ({error})") from None
        return Shown(mask_HW, self.last_region.get("score"))


def annotate_tasks(
    settings: AssistRun,
    truth: Path,
    parameters: AnnotatorParameters,
    connection: Connection,
    *,
    objects: int | None = None,
    told: Told = lambda done, total: None,
) -> Worked:
    """Does every task that nobody did and whose photo is known; the others are left alone.

    Args:
        settings: the stage whose tasks were sent.
        truth: COCO file of the known masks.
        parameters: of the annotator.
        connection: to the server.
        objects: the most prominent objects of a photo that are clicked on; all if None.
        told: how many tasks are done, of how many.

    Raises:
        ConfigurationError: if nothing was sent, there is no click backend, or none of the photos
            is known.
        ServerUnavailableError: if the server goes away; doing it again goes on.
    """
    studio = connection.studio
    project = find_project(studio, settings, Folder(settings.out))
    if project is None:
        raise ConfigurationError(f"{settings.out}: nothing was sent yet, so there is no task to do")
    known = _known_by_image(settings, truth)
    view = _answers(settings, studio, project)
    open_tasks = [
        (int(task["id"]), known[str(task["data"].get(IMAGE_ID_KEY))])
        for task in studio.tasks(project)
        if task["data"].get(IMAGE_ID_KEY) in known
        and task["total_annotations"] + task["cancelled_annotations"] == 0
    ]
    worked = Worked()
    for place, (task, photo) in enumerate(open_tasks):
        told(place, len(open_tasks))
        try:
            worked.add(_do(studio, task, photo, view, parameters, objects))
        except RecordError as error:
            worked.add_failed(task, error)
    told(len(open_tasks), len(open_tasks))
    return worked


def _do(
    studio: LabelStudio,
    task: int,
    photo: TruthPhoto,
    view: StudioAnswers,
    parameters: AnnotatorParameters,
    objects: int | None,
) -> TaskWork:
    begun = time.monotonic()
    # What a browser does first; the backend embeds the photo meanwhile.
    opened = studio.get(f"/api/tasks/{task}", missing_is_fine=True)
    if opened is None:
        raise RecordError("vanished", "was deleted meanwhile")
    view.look_at(task, photo.masks[0].size_hw)
    done = work_on_task(opened, photo, view, parameters, objects=objects)
    submit(studio, task, done.regions, seconds=time.monotonic() - begun, by=parameters.name)
    return done


def submit(studio: LabelStudio, task: int, regions: list[Json], *, seconds: float, by: str) -> None:
    """Submits an annotation; a second time changes nothing."""
    known_as = uuid.uuid5(_NAMESPACE, f"{studio.url} {task} {by}")
    content = {"result": regions, "lead_time": round(seconds, 3), "unique_id": str(known_as)}
    studio.post(f"/api/tasks/{task}/annotations/", content)


def _known_by_image(settings: AssistRun, truth: Path) -> Mapping[str, TruthPhoto]:
    """Known photos that were sent, by image id."""
    folder = Path(source_address(settings.source))
    known = read_truth(truth, folder, missing_is_fine=True)  # each photo's own task will tell
    by_path = {str(photo.path): photo for photo in known}
    sent = read_sent(Folder(settings.out))
    found = {i: by_path[p.ref.uri] for i, p in sent.items() if p.ref.uri in by_path}
    if not found:
        raise ConfigurationError(
            f"{truth}: none of its {len(by_path)} photos is one of the {len(sent)} that were sent"
        )
    return found


def _answers(settings: AssistRun, studio: LabelStudio, project: int) -> StudioAnswers:
    wanted = settings.backend.url.rstrip("/") if settings.backend else None
    for backend in studio.get("/api/ml", {"project": project}):
        if backend["url"].rstrip("/") == wanted:
            return StudioAnswers(studio, int(backend["id"]), str(backend.get("model_version")))
    raise ConfigurationError(
        f"{settings.project!r} has no click backend that answers: name one as backend.url, start "
        f"it, and run `mask-engine {settings.command} send` again"
    )

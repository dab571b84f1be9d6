"""The page's clicks in the log of prompts that the click backend writes too, each exactly once.

The page sends all of a person's work each time, so what is in the log already is told by its
moment and region. A server that dies between saving and logging catches up when it starts again.
"""

from __future__ import annotations

import threading

from engine.annotate.protocol import SentWork
from engine.annotate.work_folder import WorkFolder
from engine.clicks.log import ClickEntry, ClickLog

_Key = tuple[float, str | None]


class LoggedClicks:
    """Writes what the log does not hold yet; threads may ask at once.

    Args:
        log: where everybody's clicks are.
        project: as the log has it.
        model_id: of the model that the page answers with.
    """

    def __init__(self, log: ClickLog, project: str, model_id: str) -> None:
        self._log = log
        self._project = project
        self._model_id = model_id
        self._lock = threading.Lock()
        self._held: dict[str, set[_Key]] = {}

    def take(self, image_id: str, work: SentWork) -> None:
        """Logs what is new in a person's work on a photo.

        Raises:
            OSError: if it cannot be written.
        """
        with self._lock:
            held = self._held_of(image_id)
            for entry in click_entries(work, self._project, image_id, self._model_id):
                if _key(entry) not in held:
                    self._log.append(entry)
                    held.add(_key(entry))
            if work.done:  # hardly anybody comes back to it
                del self._held[image_id]

    def catch_up(self, work: WorkFolder) -> None:
        """Logs what an earlier server saved and did not log.

        Raises:
            OSError: if it cannot be written.
        """
        for image_id in work.images():
            for one in work.of(image_id):
                self.take(image_id, one)

    def _held_of(self, image_id: str) -> set[_Key]:
        if image_id not in self._held:
            entries = self._log.entries(self._project, image_id)
            self._held[image_id] = {_key(entry) for entry in entries}
        return self._held[image_id]


def _key(entry: ClickEntry) -> _Key:
    return (entry.at, entry.region_id)


def click_entries(work: SentWork, project: str, image_id: str, model_id: str) -> list[ClickEntry]:
    """A person's work on a photo as the log has it: openings and clicks, in their order."""
    openings = [
        ClickEntry(
            at=at,
            project=project,
            task=image_id,
            image_id=image_id,
            prompt=None,
            region_id=None,
            model_id=model_id,
            milliseconds=0.0,
        )
        for at in work.opened
    ]
    clicks = [
        ClickEntry(
            at=click.at,
            project=project,
            task=image_id,
            image_id=image_id,
            prompt=click.prompt.as_record(),
            region_id=click.region_id,
            model_id=model_id,
            milliseconds=click.milliseconds,
            prompt_ids=(click.object_id,),
            predicted_iou=click.predicted_iou,
        )
        for click in work.clicks
    ]
    return sorted([*openings, *clicks], key=lambda entry: entry.at)

"""An append-only log of prompts, one small file a task: written by the backend, read by collecting.

A line of JSON is written at once and never touched again, so a killed service leaves whole lines,
or one torn one at the end that readers pass over. A file a task means that collecting a task reads
its clicks and nobody else's, however many tasks there are.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from model.errors import ConfigurationError
from stages.records import PromptRecord

LOGGER = logging.getLogger(__name__)

_PLAIN_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class ClickEntry:
    """One request for a mask, or the opening of a task.

    Attributes:
        at: seconds since 1970 when the request came.
        project, task: Label Studio's ids, as text.
        image_id: which photo; None if it is not known (a task that was only opened).
        prompt: everything that was said about the object so far; None where a task was opened.
        granularity: what the first click was to mean (`backend.labels.GRANULARITIES`).
        region_id: of the region that was answered; the page keeps it when it is accepted. None
            where nothing was answered.
        prompt_ids: the page's ids of the prompts; the first one tells objects apart.
        model_id: the model that answered.
        predicted_iou: the model's own estimate of what it answered.
        milliseconds: from request to answer.
    """

    at: float
    project: str
    task: str
    image_id: str | None
    prompt: PromptRecord | None
    region_id: str | None
    model_id: str
    milliseconds: float
    granularity: str = "auto"
    prompt_ids: tuple[str, ...] = ()
    predicted_iou: float | None = None

    @property
    def is_opening(self) -> bool:
        """Whether the task was opened and nothing asked yet."""
        return self.prompt is None

    @property
    def clicks(self) -> int:
        """Prompts given for this object so far, a box as one."""
        if self.prompt is None:
            return 0
        return len(self.prompt.points_xy) + (self.prompt.box_xyxy is not None)

    def to_line(self) -> str:
        """One line of JSON without its end."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> ClickEntry:
        """Reads a line.

        Raises:
            ValueError, KeyError, TypeError: if it is torn or foreign.
        """
        fields: dict[str, Any] = json.loads(line)
        prompt = fields.pop("prompt", None)
        fields["prompt_ids"] = tuple(fields.get("prompt_ids", ()))
        optional = {"image_id": None, "region_id": None}
        return cls(**(optional | fields), prompt=None if prompt is None else _prompt(prompt))


class ClickLog:
    """The log's folder: `project-<id>/task-<id>.jsonl`. Threads and processes may write at once."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    @property
    def folder(self) -> Path:
        """Where the log is."""
        return self._folder

    def append(self, entry: ClickEntry) -> None:
        """Writes an entry behind all others.

        Raises:
            OSError: if it cannot be written.
        """
        path = self._path(entry.project, entry.task)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line = entry.to_line().encode() + b"\n"
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            # A line that a kill tore stays a line of its own.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" + line if torn else line)
        finally:
            os.close(descriptor)

    def entries(self, project: str, task: str) -> list[ClickEntry]:
        """What was asked about a task, in the order of its answers; lines torn are passed over."""
        return list(_entries(self._path(project, task)))

    def _path(self, project: str, task: str) -> Path:
        return self._folder / f"project-{_safe(project)}" / f"task-{_safe(task)}.jsonl"


def log_folder(folder: str) -> Path:
    """Where a log is that a setting names: `~` is the user's home, `clicks` is below this place.

    Whoever writes the log and whoever reads it ask here, so that both mean the same.
    """
    return Path(folder).expanduser().absolute()


def open_click_log(folder: str, *, setting: str) -> ClickLog:
    """The log in a folder that is made now: a mask without its prompts would have no history.

    Args:
        folder: where it is; `~` is the user's home.
        setting: that names it, for the message.

    Raises:
        ConfigurationError: if it cannot be kept there.
    """
    path = log_folder(folder)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the log of prompts cannot be kept there ({error.strerror}); give another "
            f"folder with {setting}"
        ) from None
    return ClickLog(path)


def _entries(path: Path) -> Iterator[ClickEntry]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield ClickEntry.from_line(line.decode())
        except (ValueError, KeyError, TypeError):
            LOGGER.warning("%s: line %d cannot be read, passed over", path, number)


def _prompt(fields: dict[str, Any]) -> PromptRecord:
    box = fields.get("box_xyxy")
    return PromptRecord(
        points_xy=tuple((x, y) for x, y in fields["points_xy"]),
        point_labels=tuple(fields["point_labels"]),
        box_xyxy=None if box is None else tuple(box),
        text=fields.get("text"),
    )


def _safe(identifier: str) -> str:
    """An id as part of a file's name; a strange one by its digest."""
    if _PLAIN_ID.fullmatch(identifier):
        return identifier
    return hashlib.blake2b(identifier.encode(), digest_size=16).hexdigest()

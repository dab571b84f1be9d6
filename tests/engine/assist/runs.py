"""A run of the assisted-manual stage on a few small photos, with a server in memory."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.assist.collecting import Collected, collect
from engine.assist.connection import Connection
from engine.assist.sending import Sent, send
from engine.assist.settings import AssistRun
from engine.label_studio.brush import encode_brush
from engine.label_studio.brush_region import brush_region
from engine.label_studio.home import Home
from engine.label_studio.labelling_config import EXHAUSTIVE_CHOICE
from pipelines.collect import CollectedRun
from pipelines.shards import read_rows
from stages.records import ImageRow
from tests.engine.fake_label_studio import FakeLabelStudio
from tests.factories import rectangle
from tests.pipelines.runs import make_photos

SIZE_HW = (48, 64)  # of make_photos'
Json = dict[str, Any]


class AssistedRun:
    """Settings, photos, and a server; one person's afternoon in a few calls."""

    def __init__(self, folder: Path, *, photos: int = 4, **settings: Any) -> None:
        self.photos = make_photos(folder / "photos", photos)
        self.home = Home(folder / "home")
        self.home.make()
        self.out = folder / "run"
        defaults = {"source": str(self.photos), "out": str(self.out), "project": "A project"}
        self.settings = AssistRun(**(defaults | settings))
        self.server = FakeLabelStudio()
        self.server.files = self.home.photos

    def send(self) -> Sent:
        return send(self.settings, self.connection())

    def collect(self) -> Collected:
        return collect(self.settings, self.connection())

    def connection(self) -> Connection:
        return Connection(self.server.client(), self.home)

    def annotate(self, path: str, masks: Sequence[NDArray[np.bool_]] = (), **fields: Any) -> None:
        regions = [make_region(mask) for mask in masks]
        self.server.annotate(self.server.task_of(path), regions, **fields)

    def rows(self) -> dict[str, ImageRow]:
        return {row.ref.path: row for row in read_rows(str(self.out))}


def one_task(folder: Path, **settings: Any) -> tuple[AssistedRun, int]:
    """A run of one photo that was sent, and its task's number."""
    run = AssistedRun(folder, photos=1, **settings)
    run.send()
    return run, run.server.task_of("000.png")


def open_run_of(run: AssistedRun) -> CollectedRun:
    """The run's folder as it stands."""
    return CollectedRun.open(
        str(run.out),
        source=str(run.photos),
        source_name="photos",
        configuration=run.settings.records_depend_on(),
    )


def make_region(mask_HW: NDArray[np.bool_] | None = None, *, label: str = "Object", **fields: Any):
    """A brush region as the labelling page submits it."""
    mask = rectangle((4, 6, 10, 8), SIZE_HW) if mask_HW is None else mask_HW
    region = brush_region(
        uuid.uuid4().hex,
        encode_brush(mask),
        mask.shape,
        control="mask",
        shown_on="image",
        label=label,
    )
    return region | fields


def make_exhaustive() -> Json:
    """The ticked box."""
    return {
        "id": uuid.uuid4().hex,
        "type": "choices",
        "from_name": "exhaustive",
        "to_name": "image",
        "value": {"choices": [EXHAUSTIVE_CHOICE]},
    }

"""An annotating server with a fake model, asked as the page asks; and works as the page sends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from engine.annotate.protocol import SentWork
from engine.annotate.serving import AnnotatingRun, build_annotating
from engine.annotate.settings import AnnotateRun
from engine.clicks.log import ClickEntry, ClickLog
from pipelines.shards import read_rows
from stages import rle
from stages.records import ImageRef, ImageRow
from tests.engine.page.pages import CREDENTIALS, HOME, TOKEN, make_model_folder
from tests.fakes import DiscSegmenter
from tests.pipelines.runs import make_photos

SIZE_HW = (48, 64)


@dataclass
class Served:
    client: TestClient
    run: AnnotatingRun
    settings: AnnotateRun

    @property
    def photos(self) -> list[ImageRef]:
        return self.run.shelf.photos

    def next(self, annotator: str = "Ada") -> Any:
        return self.client.get("/api/next", params={"annotator": annotator}).json()

    def put(self, image_id: str, work: dict[str, Any]) -> Any:
        return self.client.put(f"/api/work/{image_id}", json=work)

    @property
    def click_log(self) -> ClickLog:
        return ClickLog(self.settings.click_log)

    def log(self, image_id: str) -> list[ClickEntry]:
        return self.click_log.entries(self.settings.project, image_id)

    def rows(self) -> list[ImageRow]:
        return rows_of(self.settings.out)


def rows_of(out: str) -> list[ImageRow]:
    """A run's rows; none while nothing was collected."""
    return list(read_rows(out)) if Path(out, "shards").exists() else []


def serve(tmp_path: Path, *, count: int = 3, **settings: Any) -> Served:
    source = tmp_path / "photos"
    if not source.exists():
        make_photos(source, count=count)
    places = {"source": str(source), "out": str(tmp_path / "run")}
    run = AnnotateRun(**places, click_log=str(tmp_path / "clicks"), **settings)
    served = build_annotating(
        run,
        CREDENTIALS,
        make_model_folder(tmp_path / "model"),
        told=lambda line: None,
        segmenter=DiscSegmenter,
    )
    client = TestClient(served.app, base_url=HOME, raise_server_exceptions=False)
    client.get("/", params={"token": TOKEN})
    return Served(client, served, run)


def mask_counts(left: int, top: int, width: int, height: int) -> dict[str, Any]:
    mask_HW = np.zeros(SIZE_HW, np.bool_)
    mask_HW[top : top + height, left : left + width] = True
    return {"size": list(SIZE_HW), "counts": rle.encode(mask_HW).counts}


def make_work(annotator: str = "Ada", **fields: Any) -> dict[str, Any]:
    """One clicked mask of 10 x 8 px: opened at 100, two clicks, kept; 12 s in all."""
    first = {"points": [[5.0, 5.0, 1]], "box": None}
    both = {"points": [[5.0, 5.0, 1], [30.0, 30.0, 0]], "box": None}
    clicks = [
        {"at": 104.0, "region_id": "a1", "object_id": "a", "prompt": first, "predicted_iou": 0.75},
        {"at": 106.0, "region_id": "a2", "object_id": "a", "prompt": both, "predicted_iou": 0.875},
    ]
    mask = {"id": "a2", "segmentation": mask_counts(2, 3, 10, 8), "predicted_iou": 0.875}
    work = {"annotator": annotator, "masks": [mask], "clicks": clicks, "opened": [100.0]}
    return work | {"seconds": 12.0} | fields


def sent(work: dict[str, Any]) -> SentWork:
    return SentWork.model_validate(work)

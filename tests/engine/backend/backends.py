"""A whole backend with a fake model, asked as Label Studio asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from engine.backend.server import build_backend
from engine.backend.settings import BackendSettings
from engine.clicks.log import ClickLog
from pipelines.sources import list_photos
from stages.records import ImageRef
from tests.fakes import DiscSegmenter
from tests.pipelines.runs import make_photos

PASSWORD = "correct horse"
AUTH = ("mask-engine", PASSWORD)


@dataclass
class Served:
    """A backend and the photos it knows."""

    client: TestClient
    photos: list[ImageRef]
    log: ClickLog
    folder: Path

    def task(self, number: int = 0, **fields: Any) -> dict[str, Any]:
        photo = self.photos[number]
        data = {"image_id": photo.image_id, "image": f"/data/local-files/?d={photo.path}"}
        return {"id": number + 1, "data": data, "annotations": [], "predictions": []} | fields

    def predict(self, prompts: list[dict[str, Any]] | None, number: int = 0, **fields: Any) -> Any:
        body = predict_body(self.task(number), prompts) | fields
        return self.client.post("/predict", json=body, auth=AUTH)


def serve_photos(tmp_path: Path, segmenter: DiscSegmenter | None = None, **settings: Any) -> Served:
    folder = make_photos(tmp_path / "photos", count=3)
    credentials = tmp_path / "credentials.json"
    if not credentials.exists():
        credentials.write_text(json.dumps({"user": AUTH[0], "password": PASSWORD}))
        credentials.chmod(0o600)
    defaults = {
        "source": str(folder),
        "credentials": str(credentials),
        "click_log": str(tmp_path / "clicks"),
        "store": str(tmp_path / "store"),
    }
    backend = build_backend(
        BackendSettings(**(defaults | settings)), segmenter=lambda: segmenter or DiscSegmenter()
    )
    client = TestClient(backend.app, raise_server_exceptions=False)
    return Served(client, list_photos(str(folder)), ClickLog(tmp_path / "clicks"), tmp_path)


def predict_body(task: dict[str, Any], prompts: list[dict[str, Any]] | None) -> dict[str, Any]:
    context = None if prompts is None else {"result": prompts}
    params = {"context": context, "login": None, "password": None}
    return {"tasks": [task], "project": "7.1699999999", "params": params}


def click(x: float, y: float, *, positive: bool = True, name: str = "p1") -> dict[str, Any]:
    """A click in percent of the photo."""
    return {
        "id": name,
        "type": "keypointlabels",
        "is_positive": positive,
        "original_width": 64,
        "original_height": 48,
        "value": {"x": x, "y": y, "width": 0.3, "keypointlabels": ["Object"]},
    }


def box(x: float, y: float, width: float, height: float, name: str = "b1") -> dict[str, Any]:
    """A box in percent of the photo."""
    return {
        "id": name,
        "type": "rectanglelabels",
        "is_positive": True,
        "original_width": 64,
        "original_height": 48,
        "value": {
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "rectanglelabels": ["Object"],
        },
    }

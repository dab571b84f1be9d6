"""A page with a fake model on the server's side and empty graphs, asked as a browser asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from starlette.testclient import TestClient

from engine.backend.credentials import Credentials
from engine.page.serving import demo_app
from engine.page.settings import PageSettings
from pipelines.sources import list_photos
from stages.records import ImageRef
from tests.fakes import DiscSegmenter
from tests.pipelines.runs import make_photos

TOKEN = "correct-horse"
CREDENTIALS = Credentials("mask-engine", TOKEN)
HOME = "http://127.0.0.1:8765"


@dataclass
class Page:
    client: TestClient
    photos: list[ImageRef]
    folder: Path

    def enter(self) -> Page:
        """As a browser does with the printed address."""
        self.client.get("/", params={"token": TOKEN})
        return self


def make_model_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"model_id": DiscSegmenter.model_id}))
    (folder / "prompt.half.onnx").write_bytes(b"graph")
    return folder


def make_page(tmp_path: Path, *, count: int = 2) -> Page:
    source = make_photos(tmp_path / "photos", count=count)
    app = demo_app(
        PageSettings(),
        str(source),
        make_model_folder(tmp_path / "model"),
        CREDENTIALS,
        segmenter=DiscSegmenter,
    )
    client = TestClient(app, base_url=HOME, raise_server_exceptions=False)
    return Page(client, list(list_photos(str(source))), tmp_path)

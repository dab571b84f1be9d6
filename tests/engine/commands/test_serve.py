from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.backend.settings import BackendSettings
from engine.cli import app
from engine.clicks.log import ClickLog
from engine.label_studio.brush import decode_brush
from pipelines.sources import list_photos
from tests.engine.backend.backends import click, predict_body
from tests.engine.commands.checkpoint_files import random_checkpoint
from tests.pipelines.runs import make_photos


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors")


@pytest.fixture
def service(tmp_path: Path, checkpoint: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    make_photos(tmp_path / "photos", count=2)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "engine.cli", "serve", str(tmp_path / "photos")),
            *("--store", str(tmp_path / "store"), "--clicks", str(tmp_path / "clicks")),
            *("--credentials", str(tmp_path / "backend.json"), "--port", "0"),
            *("--checkpoint", str(checkpoint), "--threads", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    yield process, address
    process.kill()
    process.communicate()


def ask(address: str, folder: Path, body: dict[str, Any] | None = None) -> Any:
    credentials = json.loads((folder / "backend.json").read_text())
    token = base64.b64encode(f"{credentials['user']}:{credentials['password']}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Authorization": f"Basic {token}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_a_started_service_answers_a_click_and_stops_when_told(
    service: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = service
    assert address.startswith("http://127.0.0.1:"), process.stderr and process.stderr.read()
    photo = list_photos(str(tmp_path / "photos"))[0]
    task = {"id": 1, "data": {"image_id": photo.image_id}}

    health = ask(f"{address}/health", tmp_path)
    answered = ask(f"{address}/predict", tmp_path, predict_body(task, [click(50, 50)]))

    assert health["status"] == "UP"
    for region in answered["results"][0]["result"]:
        assert decode_brush(region["value"]["rle"], (48, 64)).any()
    (entry,) = ClickLog(tmp_path / "clicks").entries("7", "1")
    assert entry.model_id == health["model_version"]
    assert os.stat(tmp_path / "backend.json").st_mode & 0o777 == 0o600
    assert list((tmp_path / "store").rglob(f"{photo.image_id}.embedding"))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert json.loads((tmp_path / "backend.json").read_text())["password"] not in said


def test_a_busy_port_is_told_before_anything_slow(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", count=1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = CliRunner().invoke(app, ["serve", str(tmp_path / "photos"), "--port", str(port)])

    assert outcome.exit_code == 2
    assert f"127.0.0.1:{port}: cannot be listened at" in outcome.stderr


def test_a_service_without_photos_is_refused(tmp_path: Path) -> None:
    arguments = ["--port", "0", "--credentials", str(tmp_path / "backend.json")]
    outcome = CliRunner().invoke(app, ["serve", *arguments])

    assert outcome.exit_code == 2
    assert "no photo may be read" in outcome.stderr


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    assert BackendSettings().is_loopback
    assert BackendSettings(host="::1").is_loopback
    assert BackendSettings(host="localhost").is_loopback
    assert not BackendSettings(host="0.0.0.0").is_loopback
    assert not BackendSettings(host="annotation.example").is_loopback


def test_photos_are_embedded_ahead_from_the_command_line(tmp_path: Path, checkpoint: Path) -> None:
    make_photos(tmp_path / "photos", count=1)
    (tmp_path / "photos" / "bad.png").write_bytes(b"no photo")
    arguments = [str(tmp_path / "photos"), "--out", str(tmp_path / "store")]

    outcome = CliRunner().invoke(app, ["embed", *arguments, "--checkpoint", str(checkpoint)])

    assert outcome.exit_code == 0, outcome.stderr
    lines = [line.split() for line in outcome.stdout.splitlines()]
    assert ["embedded", "1"] in lines
    assert ["not_an_image", "1"] in lines
    assert len(list((tmp_path / "store").rglob("*.embedding"))) == 1

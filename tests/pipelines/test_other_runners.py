"""The same pipeline on another Beam runner: what is pickled, sent and run elsewhere still works."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.errors import StopError
from pipelines.automatic import run_automatic
from tests.fakes import BrokenSegmenter, disc_segmenter
from tests.pipelines.runs import Recorder, make_photos, quick, run_quickly, shard_digests


def test_options_without_a_runner_stay_in_memory(tmp_path: Path) -> None:
    photos, recorder = make_photos(tmp_path / "photos"), Recorder()
    run_quickly(photos, tmp_path / "own")
    options = ("--job_name=mine",)
    config = quick(photos, tmp_path / "run", beam_options=options)
    run_automatic(config, segmenter=disc_segmenter, progress=recorder)
    assert shard_digests(tmp_path / "run") == shard_digests(tmp_path / "own")
    assert recorder.seen[-1].rows_done == 6


def test_too_many_failures_are_said_at_the_end(tmp_path: Path) -> None:
    config = quick(
        make_photos(tmp_path / "photos", 2), tmp_path / "run", beam_options=("--job_name=mine",)
    )
    with pytest.raises(StopError, match="2 of 2 photos failed"):
        run_automatic(config, segmenter=BrokenSegmenter)


@pytest.fixture
def job_server(tmp_path: Path) -> Iterator[str]:
    module = "apache_beam.runners.portability.local_job_service_main"
    log = tmp_path / "job-server.log"
    with log.open("wb") as output:
        command = [
            sys.executable,
            "-m",
            module,
            "--port",
            "0",
            "--port_file",
            str(tmp_path / "port"),
        ]
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield f"localhost:{wait_for_port(tmp_path / 'port', log)}"
    finally:
        server.terminate()
        server.wait()


def wait_for_port(path: Path, log: Path) -> str:
    deadline = time.monotonic() + 120
    while not path.exists() or not re.search(r"\d+", path.read_text()):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return str(re.search(r"\d+", path.read_text())[0])  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # grpc's and Beam's own, in threads of theirs
def test_a_portable_runner_gives_the_same_bytes(tmp_path: Path, job_server: str) -> None:
    photos = make_photos(tmp_path / "photos", 7)
    run_quickly(photos, tmp_path / "own")
    options = (
        "--runner=PortableRunner",
        f"--job_endpoint={job_server}",
        "--environment_type=LOOPBACK",
    )
    config = quick(photos, tmp_path / "run", beam_options=options)
    run_automatic(config, segmenter=disc_segmenter)
    assert shard_digests(tmp_path / "run") == shard_digests(tmp_path / "own")

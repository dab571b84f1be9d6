from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from engine.backend.credentials import Credentials
from engine.cli import app
from engine.clicks.effort import effort_by_region
from engine.clicks.log import ClickLog
from engine.configuration import build, read_yaml
from engine.simulation.answers import BackendAnswers, DirectAnswers
from engine.simulation.run import SimulatedRun, View, run_simulation
from model.errors import ConfigurationError
from pipelines.shards import read_rows
from pipelines.summary import Summary
from tests.engine.backend.served import PASSWORD, USER, served_backend
from tests.engine.simulation.discs import make_discs
from tests.fakes import MODEL_ID, disc_segmenter


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Two photos of discs on plain ground, and a COCO file of the discs."""
    return make_discs(tmp_path, count=2)


def simulate(truth: Path, out: str, view: View, **settings: Any) -> Summary:
    source = str(truth.parent / "photos")
    config = SimulatedRun(source=source, out=str(truth.parent / out), **settings)
    return run_simulation(config, truth, view)


@contextlib.contextmanager
def answered_by_backend(folder: Path) -> Iterator[BackendAnswers]:
    with (
        served_backend(folder) as address,
        BackendAnswers(address, Credentials(USER, PASSWORD)) as view,
    ):
        yield view


def test_direct_and_over_http_the_clicks_and_masks_are_the_same(truth: Path) -> None:
    summary = simulate(truth, "direct", DirectAnswers(disc_segmenter()))
    with answered_by_backend(truth.parent) as view:
        served = simulate(truth, "served", view)

    direct_rows = list(read_rows(str(truth.parent / "direct")))
    assert direct_rows == list(read_rows(str(truth.parent / "served")))
    assert summary.masks == served.masks > 0


def test_every_known_object_is_accepted_or_given_up(truth: Path) -> None:
    summary = simulate(truth, "run", DirectAnswers(disc_segmenter()))

    assert summary.proposals == 6
    assert summary.masks + sum(summary.dropped.values()) == 6
    masks = [mask for row in read_rows(str(truth.parent / "run")) for mask in row.masks]
    assert {(mask.origin, mask.annotator, mask.model_id) for mask in masks} == {
        ("simulated", "simulated", MODEL_ID)
    }
    assert all(mask.clicks == len(mask.prompt.points_xy) for mask in masks if mask.prompt)


def test_the_same_simulation_goes_on_and_another_is_refused(truth: Path) -> None:
    first = simulate(truth, "run", DirectAnswers(disc_segmenter()))
    again = simulate(truth, "run", DirectAnswers(disc_segmenter()))
    assert again.masks == first.masks

    with pytest.raises(ConfigurationError, match=r"accept_iou was 0\.9, now 0\.5"):
        simulate(truth, "run", DirectAnswers(disc_segmenter()), annotator={"accept_iou": 0.5})


def test_a_photo_that_does_not_fit_its_truth_is_a_row_with_its_error(truth: Path) -> None:
    Image.new("RGB", (10, 10)).save(truth.parent / "photos" / "1.png")

    summary = simulate(truth, "run", DirectAnswers(disc_segmenter()))

    assert summary.failures == {"size_mismatch": 1}


def test_the_backends_log_tells_what_each_mask_took(truth: Path) -> None:
    with answered_by_backend(truth.parent) as view:
        simulate(truth, "served", view)
    log = ClickLog(truth.parent / "clicks")
    (task, *_) = (truth.parent / "clicks").rglob("task-*.jsonl")
    entries = log.entries("simulated", task.stem.removeprefix("task-"))

    assert entries[0].is_opening
    efforts = effort_by_region(entries, {e.region_id for e in entries if e.region_id})
    assert len(efforts) == len(entries) - 1
    assert all(effort.seconds > 0 for effort in efforts.values())


def test_a_backend_that_is_not_there_or_refuses_is_told(truth: Path) -> None:
    with pytest.raises(ConfigurationError, match="no click backend answers there"):
        BackendAnswers("http://127.0.0.1:9", Credentials("u", "p"))
    with (
        served_backend(truth.parent) as address,
        pytest.raises(ConfigurationError, match="refuses these credentials"),
    ):
        BackendAnswers(address, Credentials("u", "wrong"))


def test_the_command_wants_to_know_who_answers(truth: Path) -> None:
    config = truth.parent / "simulate.yaml"
    config.write_text(f"source: {truth.parent / 'photos'}\nout: {truth.parent / 'run'}\n")

    outcome = CliRunner().invoke(app, ["simulate", str(config), "--truth", str(truth)])

    assert outcome.exit_code == 2
    assert "--direct for the model here" in outcome.stderr


def test_the_shipped_configuration_loads() -> None:
    settings = read_yaml("configs/simulate.yaml")

    assert build(SimulatedRun, [settings], origin="configs/simulate.yaml").source == "photos"

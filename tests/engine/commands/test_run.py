"""`mask-engine run`, `run --dry-run`, `status` and `rollback`, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from engine.cli import app
from engine.rounds.ledger import open_ledger
from engine.rounds.run import run_engine
from tests.engine.rounds.engines import FAKE_TOOLS, make_data, settings_of

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of an engine that has done its one round."""
    folder = tmp_path_factory.mktemp("engine")
    data = make_data(folder / "data", pool=2, held_out=1)
    one = [{"stage": "assisted_manual", "photos": {"count": 1}}]
    settings = settings_of(data, folder / "out", rounds=one, calibration=None)
    run_engine(settings, tools=FAKE_TOOLS)
    file = folder / "engine.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    return file


def typed(*words: object) -> tuple[int, str]:
    done = RUNNER.invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def test_run_does_what_is_left_and_shows_the_tables(config: Path) -> None:
    code, text = typed("run", config)

    assert code == 0
    assert text.startswith("finished")
    assert "1 assisted_manual" in text


def test_a_dry_run_shows_which_finished_steps_a_changed_configuration_touches(config: Path) -> None:
    code, text = typed("run", config, "--dry-run", "--set", "train.steps=6")

    assert code == 0
    states = {
        line.split()[0]: line.split()[1] for line in text.splitlines() if len(line.split()) > 1
    }
    assert (states["train"], states["collect"]) == ("changed", "done")
    assert "would be refused" in text
    assert "rollback 1 --from train" in text
    code, text = typed("run", config, "--set", "train.steps=6")
    assert code == 2


def test_a_folder_alone_tells_the_next_step(config: Path) -> None:
    code, text = typed("status", config.parent / "out")

    assert code == 0
    assert "next: round 2, if the configuration has one" in text


def test_rollback_from_a_step_leaves_those_before_it(config: Path) -> None:
    out = config.parent / "out"
    code, text = typed("rollback", 1, config, "--from", "build")

    assert code == 0
    assert "1, build" in text
    assert open_ledger(str(out)).find(1, "collect") is not None
    assert open_ledger(str(out)).find(1, "build") is None
    _, text = typed("status", out)
    assert "last: round 1, collect; next: round 1, build" in text

    code, text = typed("rollback", 1, out, "--from", "bild")
    assert code == 2
    assert "round 1 has no step 'bild'" in text

from __future__ import annotations

from pathlib import Path

import pytest

from engine.commands.simulate import simulate
from engine.commands.stage_runs import read_stage_run
from model.errors import ConfigurationError


@pytest.mark.parametrize("stage", ["assist", "semi", "verify"])
def test_a_configuration_is_read_as_that_of_its_stage(stage: str) -> None:
    run = read_stage_run(f"configs/{stage}-examples.yaml", ["server.url=http://studio.test"])

    assert (run.command, run.server.url) == (stage, "http://studio.test")


def test_options_that_would_do_nothing_are_refused() -> None:
    truth, file = Path("truth.json"), Path("backend.json")
    with pytest.raises(ConfigurationError, match=r"--backend names.*Leave it out"):
        simulate("configs/simulate.yaml", truth=truth, direct=True, credentials=file)
    with pytest.raises(ConfigurationError, match="the server knows the password"):
        simulate("configs/x.yaml", truth=truth, label_studio=True, credentials=file)


def test_nobody_simulates_verdicts() -> None:
    with pytest.raises(ConfigurationError, match="gives no verdicts on single masks"):
        simulate("configs/verify-examples.yaml", truth=Path("truth.json"), label_studio=True)

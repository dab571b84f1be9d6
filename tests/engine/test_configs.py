"""Every complete configuration of the automatic stage in `configs/` loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.commands.auto import build_run
from stages.parameters import AutomaticParameters

CONFIGS = Path(__file__).parents[2] / "configs"
AUTOMATIC = sorted(CONFIGS.glob("auto-*.yaml"))


@pytest.mark.parametrize("path", AUTOMATIC, ids=lambda path: path.stem)
def test_it_loads(path):
    run = build_run(str(path), [], {"source": "photos", "out": "run"})
    run.refuse_contradictions()
    assert run.source == "photos"


def test_a_complete_one_needs_nothing_more():
    run = build_run(str(CONFIGS / "auto-demo.yaml"), [], {})
    assert (run.source, run.out) == ("examples/photos", "runs/demo")


def test_there_are_some():
    assert len(AUTOMATIC) >= 4


def test_the_manual_names_every_setting_of_the_stage():
    manual = (CONFIGS.parent / "docs" / "automatic.md").read_text(encoding="utf-8")
    missing = [name for name in AutomaticParameters.model_fields if f"`{name}`" not in manual]
    assert missing == []

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.checkpoint_cards.shares import read_shares
from engine.cli import app
from model.checkpoints import read_card
from model.errors import ConfigurationError
from tests.engine.commands.checkpoint_files import random_checkpoint


def test_names_may_hold_equals_signs() -> None:
    assert read_shares(["a=b.safetensors=0.5", "starter=2"]) == {
        "a=b.safetensors": 0.5,
        "starter": 2,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["starter"], "expected CHECKPOINT=SHARE"),
        (["starter=half"], "'half' is no number"),
        (["=0.5"], "expected CHECKPOINT=SHARE"),
        (["starter=1", "starter=2"], "starter is given twice"),
    ],
)
def test_what_cannot_be_read_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_shares(options)


def test_the_command_writes_the_average_and_prints_its_card(tmp_path: Path) -> None:
    one = random_checkpoint(tmp_path / "one.safetensors")
    out = tmp_path / "out.safetensors"
    arguments = ["checkpoints", "average", f"{one}=0.5", "starter=0.5", "--out", str(out)]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert read_card(out).model_id in outcome.stdout
    assert "Average of weights" in outcome.stdout

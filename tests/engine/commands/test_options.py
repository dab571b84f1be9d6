from __future__ import annotations

import pytest
from typer.testing import CliRunner

from engine.assist.settings import read_assist_run
from engine.cli import app
from engine.commands.options import assignments

CONFIG = "configs/assist-examples.yaml"


def test_the_address_given_by_hand_wins_over_the_configurations():
    pairs = assignments(["server.url=http://other:1", "annotators=2"], "http://127.0.0.1:8080")
    run = read_assist_run(CONFIG, pairs)
    assert (run.server.url, run.annotators) == ("http://127.0.0.1:8080", 2)
    assert read_assist_run(CONFIG, assignments(None, None)).server.url is None


@pytest.mark.parametrize("command", ["assist send", "semi collect", "verify send"])
def test_commands_that_speak_to_a_server_let_another_one_be_named(command, monkeypatch):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    config = f"configs/{command.split()[0]}-examples.yaml"
    away = ["--url", "http://127.0.0.1:1", "--set", "out=/nowhere/at-all"]
    outcome = CliRunner().invoke(app, [*command.split(), config, *away])
    assert outcome.exit_code == 2
    assert "http://127.0.0.1:1: no token for it" in outcome.output

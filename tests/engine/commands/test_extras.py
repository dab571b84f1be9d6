"""What a command needs beyond the package is asked for when it runs, never for its help."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.main import get_command

from engine.cli import app
from engine.commands import assist, label_studio, semi, verify
from engine.commands.simulate import simulate
from model.errors import ConfigurationError

GROUPS = {
    "assist": assist.app,
    "semi": semi.app,
    "verify": verify.app,
    "label-studio": label_studio.app,
}


def words_of_commands() -> list[tuple[list[str], list[str]]]:
    """Each command that speaks to Label Studio, and the arguments that it wants."""
    return [
        ([group, made.__name__], ["x.yaml"] * ("config" in inspect.signature(made).parameters))
        for group, commands in GROUPS.items()
        for made in (command.callback for command in commands.registered_commands)
        if made is not None
    ]


def test_without_the_extra_help_is_shown_and_a_command_says_which_one_it_is(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "httpx", None)
    run = partial(get_command(app).main, prog_name="mask-engine", standalone_mode=False)
    for words, arguments in words_of_commands():
        assert run([*words, "--help"]) == 0, words
        shown = capsys.readouterr()
        assert f"Usage: mask-engine {' '.join(words)}" in shown.out
        assert shown.err == ""
        assert run([*words, *arguments]) == 2, words
        refused = capsys.readouterr()
        assert refused.err.rstrip().endswith("pip install 'mask-engine[label-studio]'")
        assert refused.out == ""


def test_simulating_in_label_studio_needs_it_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mask-engine\[label-studio\]'"):
        simulate("configs/assist-examples.yaml", truth=Path("truth.json"), label_studio=True)

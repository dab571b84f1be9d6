"""The fine-tuning comparison goes on where it was killed and mixes no settings; stand-ins train."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class Commands:
    """Stands in for `mask-engine`: leaves what it would, and is killed at one command."""

    def __init__(self, cost: type) -> None:
        self.seen: list[str] = []
        self.killed_at = ""
        self._cost = cost

    def __call__(self, command: Sequence[str]) -> object:
        name = " ".join(command[:2])
        self.seen.append(name)
        if self.killed_at and self.killed_at in name:
            raise KeyboardInterrupt
        if command[0] == "evaluate":
            file = Path(command[command.index("--json") + 1])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"miou": {"1": 0.5, "3": 0.625}}))
        else:
            run = Path(command[command.index("--out") + 1])
            run.mkdir(parents=True)  # a run that is there already is not begun again
            lines = [{"seconds_per_step": seconds} for seconds in (90, 40, 42)]
            (run / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return self._cost(seconds=12.0, processor_seconds=20.0, peak_mb=900.0)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    stand_in = Commands(importlib.import_module("command").Cost)
    monkeypatch.setattr("finetuning.run_command", stand_in)
    return stand_in


@pytest.fixture
def script(commands: Commands) -> ModuleType:
    return importlib.import_module("finetuning")


def call(script: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> None:
    monkeypatch.setattr("sys.argv", ["finetuning.py", "--out", str(out), *options])
    assert script.main() == 0


def test_it_goes_on_where_it_was_killed(
    script: ModuleType,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands.killed_at = "finetune-lora"
    with pytest.raises(KeyboardInterrupt):
        call(script, monkeypatch, tmp_path)
    (tmp_path / "lora").mkdir()  # what a half-done training left
    commands.seen, commands.killed_at = [], ""

    call(script, monkeypatch, tmp_path)

    trained = [name for name in commands.seen if name.startswith("train")]
    assert [Path(name.split()[1]).stem for name in trained] == [
        "finetune-lora",
        "finetune-full",
        "train-vit-b-smoke",
    ]
    assert len(commands.seen) == 3 + 2 * 2
    shown = capsys.readouterr().out
    assert "| decoder | 0.500 | 0.625 | 0.500 | 0.625 | 12 | 20 | 900 |" in shown
    assert "41.0 s a step, 900 MB" in shown


def test_results_of_other_settings_are_not_mixed_in(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    call(script, monkeypatch, tmp_path, "--steps", "3", "--no-smoke")
    with pytest.raises(SystemExit, match="give another --out"):
        call(script, monkeypatch, tmp_path, "--no-smoke")

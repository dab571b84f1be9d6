from __future__ import annotations

from pathlib import Path

import pytest

from engine.label_studio import installation
from engine.label_studio.home import Home


def test_no_program_of_the_folder_that_one_stands_in_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(installation.PROGRAM_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    planted = tmp_path / ".venv-label-studio" / "bin" / "label-studio"
    planted.parent.mkdir(parents=True)
    planted.write_text("#!/bin/sh")
    monkeypatch.chdir(tmp_path)

    assert installation.find_program(Home(tmp_path / "home")) != planted

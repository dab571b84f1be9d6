"""Where Label Studio's own program is: it lives in an environment of its own, never in ours.

It pins a thousand megabytes of packages that do not fit beside this project's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from engine.label_studio.home import Home
from model.errors import ConfigurationError

PROGRAM_VARIABLE: Final = "MASK_ENGINE_LABEL_STUDIO"
REQUIREMENTS: Final = Path(__file__).parent / "server-requirements.txt"
# Of the checkout that this package is part of, never of the folder one happens to stand in.
IN_THE_CHECKOUT: Final = Path(__file__).parents[2] / ".venv-label-studio/bin/label-studio"


def find_program(home: Home) -> Path | None:
    """The installed program: of the environment, the checkout, the server's folder or the PATH.

    Raises:
        ConfigurationError: if the environment names one that is not there.
    """
    named = os.environ.get(PROGRAM_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(f"{PROGRAM_VARIABLE} names {named}, which is not there")
        return Path(named).absolute()
    on_path = shutil.which("label-studio")
    places = [IN_THE_CHECKOUT, _own_program(home), *([Path(on_path)] if on_path else [])]
    return next((place.absolute() for place in places if place.is_file()), None)


def install(home: Home) -> Path:
    """Installs the pinned version into the server's folder (1 GB, some minutes).

    Raises:
        ConfigurationError: if that fails, with pip's last words.
    """
    environment = _own_program(home).parent.parent
    _run([sys.executable, "-m", "venv", str(environment)])
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", "-r", str(REQUIREMENTS)])
    return _own_program(home)


def _own_program(home: Home) -> Path:
    return home.folder / "venv" / "bin" / "label-studio"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise ConfigurationError(
            f"Label Studio could not be installed: {' '.join(command[:4])} ... said: {last[0]}. "
            f"Install label-studio yourself and name its program in {PROGRAM_VARIABLE}."
        )

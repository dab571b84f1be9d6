"""The state of a training run on disk: everything that a killed run needs to go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

STATE_NAME = "state.pt"


def save_state(folder: Path, state: dict[str, Any]) -> Path:
    """Write the state so that a kill at any moment leaves the old or the new one, never half.

    The rename is what makes it so: it is atomic within a file system.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / STATE_NAME
    half_written = folder / f"{STATE_NAME}.part"
    with half_written.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    half_written.replace(whole)
    return whole


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last state in `folder`, or None if there is none. Never runs pickled code."""
    path = folder / STATE_NAME
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state

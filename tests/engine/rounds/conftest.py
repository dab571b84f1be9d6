"""Photos and known masks for engines that learn nothing and are done in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.rounds.engines import make_data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root that the engines' settings name; nobody writes to it."""
    return make_data(tmp_path_factory.mktemp("data"))

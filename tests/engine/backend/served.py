"""A click backend with a fake model behind a real port, as long as a test needs it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.backend.server import SegmenterFactory, build_backend, listen, serving
from engine.backend.settings import BackendSettings
from tests.fakes import disc_segmenter

USER = "u"
PASSWORD = "correct horse"


@contextlib.contextmanager
def served_backend(
    folder: Path, *, segmenter: SegmenterFactory | None = disc_segmenter, **settings: Any
) -> Iterator[str]:
    """Serves `folder/photos`, logs to `folder/clicks`; gives the address.

    With None as the segmenter, the configured checkpoint answers.
    """
    credentials = folder / "backend.json"
    credentials.write_text(json.dumps({"user": USER, "password": PASSWORD}))
    credentials.chmod(0o600)
    defaults = {
        "source": str(folder / "photos"),
        "credentials": str(credentials),
        "click_log": str(folder / "clicks"),
        "port": 0,
    }
    chosen = BackendSettings(**(defaults | settings))
    with (
        listen(chosen) as listening,
        serving(build_backend(chosen, segmenter=segmenter), listening) as address,
    ):
        yield address

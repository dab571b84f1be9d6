"""Which masks are looked at, written down once, with what they were chosen by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from engine.verify.choosing import Chosen
from engine.verify.settings import VerifyRun
from model.errors import ConfigurationError
from pipelines.sources import source_address
from pipelines.storage import Folder

CHOSEN_FILE: Final = "chosen.json"


def write_chosen(out: Folder, settings: VerifyRun, chosen: Sequence[Chosen]) -> None:
    """Remembers a choice."""
    fields = {
        "by": _chosen_by(settings),
        "masks": [[c.rank, c.mask_id, c.image_id] for c in chosen],
    }
    out.write(CHOSEN_FILE, json.dumps(fields).encode())


def read_chosen(out: Folder, settings: VerifyRun) -> list[Chosen]:
    """The choice as it was made; none before the first time.

    Raises:
        ConfigurationError: if it was made by other settings, naming them.
    """
    if not out.exists(CHOSEN_FILE):
        return []
    fields: Any = json.loads(out.read(CHOSEN_FILE))
    if isinstance(fields, list):  # from before the settings were written down
        fields = {"by": {}, "masks": fields}
    now = _chosen_by(settings)
    changes = [f"{k} was {v}, now {now.get(k)}" for k, v in fields["by"].items() if v != now.get(k)]
    if changes:
        raise ConfigurationError(
            f"{out.address}: its masks were chosen by other settings: {'; '.join(changes)}. What "
            "was chosen stays chosen, so nothing was done: put the settings back, or give another "
            "out and project for another choice."
        )
    return [Chosen(*mask) for mask in fields["masks"]]


def _chosen_by(settings: VerifyRun) -> dict[str, Any]:
    """What a choice depends on; a seed means nothing where nothing is drawn by lot."""
    names = ["order", "most", "again", *(["seed"] if settings.order == "random" else [])]
    run = source_address(settings.run.rstrip("/"))
    return {"run": run, **{name: getattr(settings, name) for name in names}}

"""Whose folder a training run's is: one configuration's, for as long as it stands."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from model.errors import ConfigurationError

CONFIGURATION_NAME: Final = "configuration.json"


def claim_folder(folder: Path, configuration: Mapping[str, Any], *, what: str) -> None:
    """Write the configuration into a new folder, or refuse a folder of another one.

    Args:
        folder: of the run; made if it is not there.
        configuration: everything that changes the result, as JSON has it.
        what: is trained, for the message.

    Raises:
        ConfigurationError: the folder belongs to another configuration; the message names its keys.
    """
    path = folder / CONFIGURATION_NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # A name of its own: the processes of one run come here at the same moment.
        half_written = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        half_written.write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
        half_written.replace(path)
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key, value in configuration.items() if value != theirs.get(key)]
    if changed:
        raise ConfigurationError(
            f"{folder} holds a {what} of another configuration ({', '.join(changed)} differ): "
            "give another --out, or the configuration it was started with"
        )

"""Whose folder a training run's is: one configuration's, for as long as it stands."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from model.errors import ConfigurationError

CONFIGURATION_NAME: Final = "configuration.json"


Changes: TypeAlias = dict[str, tuple[Any, Any]]
"""Dotted keys, each with its value before and now; None where a key is not there."""


def claim_folder(
    folder: Path,
    configuration: Mapping[str, Any],
    *,
    what: str,
    may_change: Collection[str] = (),
) -> Changes:
    """Write the configuration into a new folder, or refuse a folder of another one.

    Args:
        folder: of the run; made if it is not there.
        configuration: everything that changes the result, as JSON has it.
        what: is trained, for the message.
        may_change: dotted keys that a run may go on with another value of.

    Returns:
        What changed of `may_change`. The folder still says what it was before: once the change is
        taken up, `renew_claim` writes it down.

    Raises:
        ConfigurationError: the folder belongs to another configuration; the message names its keys.
    """
    path = folder / CONFIGURATION_NAME
    if not path.exists():
        renew_claim(folder, configuration)
        return {}
    changes = _changes(json.loads(path.read_text(encoding="utf-8")), configuration)
    refused = [key for key in changes if key not in may_change]
    if refused:
        besides = f" (only {', '.join(sorted(may_change))} may change)" if may_change else ""
        raise ConfigurationError(
            f"{folder} holds a {what} of another configuration ({', '.join(refused)} differ): "
            f"give another `out`, or the configuration it was started with{besides}"
        )
    return changes


def renew_claim(folder: Path, configuration: Mapping[str, Any]) -> None:
    """Write the configuration that the folder goes on with, whole or not at all."""
    path = folder / CONFIGURATION_NAME
    folder.mkdir(parents=True, exist_ok=True)
    # A name of its own: the processes of one run come here at the same moment.
    half_written = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    half_written.write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
    half_written.replace(path)


def _changes(theirs: Any, ours: Any, key: str = "") -> Changes:
    """Where two configurations differ, down to the key; a list of another length as a whole."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        names = [*ours, *(name for name in theirs if name not in ours)]
        below = [(f"{key}.{n}" if key else n, theirs.get(n), ours.get(n)) for n in names]
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        below = [(f"{key}.{i}", *pair) for i, pair in enumerate(zip(theirs, ours, strict=True))]
    else:
        return {} if theirs == ours else {key: (theirs, ours)}
    found: Changes = {}
    for name, before, now in below:
        found |= _changes(before, now, name)
    return found

"""The manifest: what a run was started with, and the refusal to mix anything else into it."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from model.errors import ConfigurationError
from pipelines.machine_memory import usable_memory_bytes
from pipelines.run_folder import MANIFEST_FILE
from pipelines.storage import Folder
from stages.ids import digest

Configuration = dict[str, Any]
STAGE_KEY: Final = "configuration.stage"


class Manifest(BaseModel):
    """Everything a resumed run must agree with, small whatever the size of the run.

    Attributes:
        source: address of the photos, written in full.
        source_name: the name that makes the ids.
        photos: photos planned, each counted once.
        rows: rows planned: photos, and tries again.
        shard_size: photos a shard.
        shard_totals: number of shards after the first plan and after each addition; it names
            the files (`run_folder.shard_name`).
        input_digest: of the photos' ids and addresses.
        configuration: everything that changes masks, by name.
        configuration_digest: of `configuration`.
        checkpoint: as the user named it.
        embed_images: whether shards hold the photos.
        threads: threads a worker, kept for the whole run: sums in another order are other sums.
        device: kind of device; another one is noted, not refused.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["mask-engine run"] = "mask-engine run"
    schema_version: Literal[1] = 1
    source: str
    source_name: str
    photos: int
    rows: int
    shard_size: int
    shard_totals: tuple[int, ...]
    input_digest: str
    configuration: Configuration
    configuration_digest: str
    checkpoint: str
    embed_images: bool
    threads: int
    device: str
    hardware: dict[str, str | int]
    versions: dict[str, str]
    created: str

    def write(self, run: Folder) -> None:
        """Writes the manifest into a run's folder, whole."""
        run.write(MANIFEST_FILE, self.model_dump_json(indent=2).encode())


def read_manifest(run: Folder) -> Manifest | None:
    """The manifest of a run, or None where there is none yet.

    Raises:
        ConfigurationError: if the file is broken, or another program or version wrote it.
    """
    try:
        return Manifest.model_validate_json(run.read(MANIFEST_FILE))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(
            f"{run.address}/{MANIFEST_FILE}: not a manifest that this version of mask-engine "
            f"wrote ({where}: {first['msg']}). Nothing was touched; give another `out`, or use "
            "the version that began the run."
        ) from error


def configuration_digest(configuration: Mapping[str, Any]) -> str:
    """16 hex digits of everything that changes masks."""
    return digest(json.dumps(configuration, sort_keys=True, separators=(",", ":")))


def refuse_changes(run: Folder, begun: Manifest, now: Mapping[str, Any]) -> None:
    """Compares what a run was begun with to what it would go on with.

    Args:
        run: the run's folder.
        begun: its manifest.
        now: values by the manifest's own names; only what is given is compared.

    Raises:
        ConfigurationError: naming every key that differs, with both values.
    """
    was = dict(_flat(begun.model_dump(mode="json", include=set(now))))
    becomes = dict(_flat(json.loads(json.dumps(dict(now)))))
    if (stage := _shown(was, STAGE_KEY)) != (now_stage := _shown(becomes, STAGE_KEY)):
        raise ConfigurationError(
            f"{run.address}: holds a run of another kind: its stage was {stage}, now {now_stage}. "
            "Nothing was started; give another `out`."
        )
    changes = [
        f"{key.removeprefix('configuration.')} was {_shown(was, key)}, now {_shown(becomes, key)}"
        for key in sorted(was.keys() | becomes.keys())
        if _shown(was, key) != _shown(becomes, key)
    ]
    if changes:
        raise ConfigurationError(
            f"{run.address}: this run was begun differently: {'; '.join(changes)}. Masks made in "
            "two ways do not belong in one data set, so nothing was started. Give the old values "
            "to go on, or another `out` to begin anew."
        )


def hardware() -> dict[str, str | int]:
    """What this machine is, as far as this process may use it, for whoever compares speeds."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": usable_cores(),
        "memory_bytes": usable_memory_bytes(),
    }


def usable_cores() -> int:
    """Cores that this process may use (fewer than the machine's in a container)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions that took part."""
    return {
        "mask-engine": _version("mask-engine"),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "apache-beam": _version("apache-beam"),
        "torch": _version("torch"),
    }


def timestamp() -> str:
    """The time now, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except ModuleNotFoundError:
        return "not installed"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not set"

"""What the head and the tail of the report say about a run, gathered from its small files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.console import byte_size, duration
from model.errors import ConfigurationError
from pipelines.manifest import Manifest, read_manifest
from pipelines.run_folder import SUMMARY_FILE, done_shards
from pipelines.status import run_status
from pipelines.storage import Folder
from pipelines.summary import Summary, read_summary
from pipelines.totals import Totals, add_up


@dataclass(frozen=True)
class RunFacts:
    """A run in a few words and numbers.

    Attributes:
        name: last part of its address.
        address: where it is.
        photos_planned: photos that the run will hold when it is finished.
        finished: whether every planned photo has its row.
        shards_done: files that are there.
        images_per_second: while it worked; None if it was not measured.
        seconds_by_step: summed over workers.
        settings: name and value of what the run was started with, in reading order.
    """

    name: str
    address: str
    photos_planned: int
    finished: bool
    shards_done: int = 0
    images_per_second: float | None = None
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)
    settings: tuple[tuple[str, str], ...] = ()


def gather_facts(run: str) -> RunFacts:
    """Reads what a run, finished or not, says about itself.

    Raises:
        ConfigurationError: if there is no run.
    """
    status = run_status(run)
    folder = Folder(run)
    manifest = read_manifest(folder)
    if manifest is None:  # `run_status` has seen it: somebody is removing the run
        raise ConfigurationError(f"{run}: its manifest is gone")
    totals = add_up(folder, done_shards(folder, manifest.shard_totals), manifest.shard_totals)
    summary = read_summary(run) if folder.exists(SUMMARY_FILE) else None
    return RunFacts(
        name=folder.root.rsplit("/", 1)[-1],
        address=folder.address,
        photos_planned=status.images,
        finished=status.finished,
        shards_done=status.shards_done,
        images_per_second=status.images_per_second or None,
        seconds_by_step=totals.seconds,
        settings=tuple(_settings(manifest, totals, summary)),
    )


def _settings(
    manifest: Manifest, totals: Totals, summary: Summary | None
) -> Iterator[tuple[str, str]]:
    configuration = manifest.configuration
    yield "source", manifest.source
    if "model_id" in configuration:
        yield "checkpoint", f"{manifest.checkpoint} ({configuration['model_id']})"
    if "preset" in configuration:
        yield "preset", str(configuration["preset"])
    yield "begun", _moment(manifest.created)
    if summary is not None:
        yield "finished", _moment(summary.finished)
        if summary.thresholds is not None:
            yield "thresholds", "; ".join(summary.thresholds.reasons)
    yield from _parameters(configuration.get("parameters", {}))
    yield "configuration digest", manifest.configuration_digest
    yield "time at work", duration(totals.elapsed_seconds)
    yield "threads a worker", str(manifest.threads)
    yield "device", manifest.device
    yield "machine", ", ".join(_hardware(manifest.hardware))
    if totals.peak_memory_bytes:
        yield "most memory of a process", byte_size(totals.peak_memory_bytes)
    yield "versions", ", ".join(f"{name} {number}" for name, number in manifest.versions.items())


def _parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        yield name.replace("_", " "), shown


def _hardware(hardware: Mapping[str, str | int]) -> Iterator[str]:
    for name, value in hardware.items():
        if name == "memory_bytes":
            yield f"{byte_size(int(value))} memory"
        elif name == "cores":
            yield f"{value} cores"
        else:
            yield str(value)


def _moment(timestamp: str) -> str:
    """`2026-11-22 11:29 UTC` of an ISO time in UTC."""
    return timestamp[:16].replace("T", " ") + " UTC"

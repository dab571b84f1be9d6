"""What `dataset remove` cannot reach and may still hold a photo, each by its name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Final

from engine.assist.settings import PROJECT_FILE
from engine.datasets.description import DATASET_CARD, STATISTICS_FILE, WORDS_FILE
from engine.datasets.remove_from_run import planned_in
from engine.rounds.ledger import open_ledger
from pipelines.answers import read_sent
from pipelines.manifest import read_manifest
from pipelines.run_folder import shard_name
from pipelines.storage import Folder, is_local

ALWAYS_UNREACHED: Final = (
    "the photo's own file; exports, data sets, reports and stored embeddings that were not named"
)


def beyond_run(run: Folder, image_id: str) -> Iterator[str]:
    """Of one run or data set."""
    sent = read_sent(run).get(image_id)
    if sent is not None:
        yield f"the task of {sent.ref.path} in {_project(run)}: delete it there"
    manifest = read_manifest(run)
    for shard in planned_in(run, image_id):
        if manifest and not run.exists(name := shard_name(shard, manifest.shard_totals)):
            yield (
                f"{run.address}/{name}, which is not made yet: when it is, remove the photo again"
            )
    if run.exists(STATISTICS_FILE) and not run.exists(WORDS_FILE):
        yield f"counts in {run.address}/{DATASET_CARD}, of an earlier version: build it again"


def beyond_engine(engine: Folder, image_id: str) -> Iterator[str]:
    """Of an engine: runs that it took over, and what has learned from the photo."""
    ledger = open_ledger(engine.address)
    learned: list[str] = []
    for entry in ledger.standing:
        if entry.step == "import":
            for address in entry.outputs.values():
                if "://" in address or os.path.isabs(address):
                    yield f"masks of round 0 in {address}: name it as a place too"
        if entry.step == "build" and any(
            planned_in(Folder(f"{engine.address.rstrip('/')}/{run}"), image_id)
            for run in entry.outputs.values()
        ):
            learned.append(str(entry.round))
    if learned:
        yield (
            f"models trained in rounds {', '.join(learned)} of {engine.address}, which have seen "
            f"it: only `mask-engine rollback {learned[0]}` makes them void"
        )
    if not is_local(engine.filesystem):
        yield "trainings and prompts in the engine's scratch folder on this machine"


def _project(run: Folder) -> str:
    if not run.exists(PROJECT_FILE):
        return "Label Studio"
    known = json.loads(run.read(PROJECT_FILE))
    return f"Label Studio, {known.get('url')}/projects/{known.get('project')}"

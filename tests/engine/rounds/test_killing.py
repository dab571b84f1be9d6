"""Every step is killed before and after its commit; the engine ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from engine.console import progress
from engine.exports.choice import MaskChoice
from engine.exports.sa1b import Sa1bFormat
from engine.exports.work import export_run
from engine.imports.work import ImportSettings, import_folder
from engine.rounds.entries import Entry
from engine.rounds.ledger import open_ledger
from engine.rounds.run import Moment, all_steps, run_engine
from engine.rounds.settings import EngineSettings
from stages.photos import PhotoLimits
from tests.engine.rounds.engines import FAKE_TOOLS, QUICK, make_data, settings_of

PATIENCE_SECONDS = 200
ROUNDS = [
    {"stage": "assisted_manual", "photos": {"count": 1, "existing_again": True}},
    {
        "stage": "semi_automatic",
        "photos": {"count": 1, "order": "least_sure", "existing_again": True},
        "proposing": QUICK,
        "sure_predicted_iou": 0.7,
    },
    {
        "stage": "automatic",
        "photos": {"count": 1, "existing_again": True},
        "proposing": QUICK,
    },
]
# One of each kind: the pool's masks as they were drawn, in a run, and as SA-1B has them.
EXISTING = [
    {"format": "coco", "path": "pool.json", "photos": "pool"},
    {"format": "run", "path": "run"},
    {"format": "sa1b", "path": "sa1b"},
]


def make_existing(data: Path) -> None:
    """The pool's masks as a run and as SA-1B's files, beside the COCO file."""
    settings = ImportSettings(
        annotations=str(data / "pool.json"), out=str(data / "run"), photos=str(data / "pool")
    )
    with progress("", "") as meter:
        import_folder("coco", settings, meter=meter)
        export_run(
            str(data / "run"),
            str(data / "sa1b"),
            Sa1bFormat(),
            MaskChoice(),
            with_photos=True,
            limits=PhotoLimits(),
            meter=meter,
        )


def run_and_die(settings: EngineSettings, what: str, number: int, step: str) -> None:
    """Runs the engine, and is killed at a moment of a step."""

    def die(moment: Moment) -> None:
        if (moment.what, moment.round, moment.step) == (what, number, step):
            os.kill(os.getpid(), signal.SIGKILL)

    run_engine(settings, tools=FAKE_TOOLS, observe=die)


def facts(entry: Entry) -> dict[str, Any]:
    """An entry without what differs from run to run: times."""
    fields = entry.model_dump(exclude={"finished", "seconds"})
    fields["figures"].pop("seconds", None)
    return fields


def digests(out: Path) -> dict[str, str]:
    """Of all shards, evaluations and checkpoints."""
    files = [*out.rglob("*.parquet"), *out.rglob("*.safetensors"), *out.rglob("evaluation.json")]
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if "shards" in file.parts or file.suffix != ".parquet"
    }


@pytest.mark.slow
def test_killed_before_and_after_every_commit_it_ends_as_if_left_alone(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", pool=3, held_out=2)
    make_existing(data)
    engine = {"existing": EXISTING, "rounds": ROUNDS, "controls": True}
    alone = settings_of(data, tmp_path / "alone", **engine)
    killed = settings_of(data, tmp_path / "killed", **engine)
    undisturbed = run_engine(alone, tools=FAKE_TOOLS).ledger
    assert undisturbed.entries[0].counts["photos"] == 3 * len(EXISTING)
    # A server that has everything imported forks children in a few milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.rounds.test_killing"])

    for done, (number, step) in enumerate(all_steps(killed)):
        for what, committed in (("made", done), ("committed", done + 1)):
            child = context.Process(target=run_and_die, args=(killed, what, number, step.name))
            child.start()
            child.join(PATIENCE_SECONDS)
            assert child.exitcode == -signal.SIGKILL, (number, step.name, what)
            assert len(open_ledger(killed.out).entries) == committed

    ledger = run_engine(killed, tools=FAKE_TOOLS).ledger
    assert [facts(e) for e in ledger.entries] == [facts(e) for e in undisturbed.entries]
    assert digests(Path(killed.out)) == digests(Path(alone.out))

"""A round's detector where the engine is on a real S3 server: learned from there, kept there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.rounds.context import Context
from engine.rounds.detecting import propose_with_detector
from engine.rounds.entries import Entry
from engine.rounds.ledger import Ledger
from engine.rounds.settings import EngineSettings
from model.checkpoint_names import checkpoint_path
from pipelines.shards import read_rows
from pipelines.sources import list_photos
from pipelines.storage import Folder
from tests.engine.rounds.engines import make_data, settings_of
from tests.engine.run_factory import make_run
from tests.factories import make_photo_bytes, make_row
from tests.object_store import endpoint, store  # noqa: F401 - fixtures

# botocore and aiohttp leave closing to the interpreter's end; that is theirs, not ours.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

ENGINE = "s3://bucket/engine"
DETECTOR = "rounds/02/detector/detector.safetensors"


def after_a_round(settings: EngineSettings) -> Context:
    """The second round of an engine whose first one left the starter and two photos with masks."""
    folder = Folder(settings.out)
    folder.write("starter.safetensors", checkpoint_path("starter").read_bytes())
    rows = [make_row(f"{n}.png", image=make_photo_bytes(seed=n)) for n in range(2)]
    make_run(f"{settings.out}/data", rows, with_images=True)
    done = {"promote": {"checkpoint": "starter.safetensors"}, "build": {"train": "data"}}
    entries = [
        Entry(number=n, round=1, step=step, generation=1, outputs=outputs)
        for n, (step, outputs) in enumerate(done.items(), start=1)
    ]
    its = settings.flat_rounds()[1]
    return Context(settings, 2, its, Ledger(folder, tuple(entries)), step="propose")


def test_a_detector_learns_from_shards_on_s3_and_outlives_the_scratch_folder(
    tmp_path: Path,
    store: Any,  # noqa: F811
) -> None:
    data, scratch = make_data(tmp_path / "data", pool=1, held_out=1), tmp_path / "scratch"
    detector = {
        "schedule": {"steps": 1, "images_per_step": 1},
        "parameters": {"min_predicted_iou": 0.0, "min_stability": 0.0},
    }
    rounds = [
        {"stage": "assisted_manual", "photos": {"count": 1}},
        {"stage": "semi_automatic", "photos": {"count": 1}, "detector": detector},
    ]
    settings = settings_of(data, ENGINE, scratch=str(scratch), rounds=rounds, start="starter")
    context = after_a_round(settings)
    photos = list_photos(str(data / "pool"))

    run, summary = propose_with_detector(context, photos)
    kept = context.folder.read(DETECTOR)
    shutil.rmtree(scratch)  # the next call may be another machine's
    again, _ = propose_with_detector(context, photos)

    assert (run, again) == ("rounds/02/detected/proposals",) * 2
    assert summary.images == 1
    assert len(list(read_rows(f"{ENGINE}/{run}"))) == 1
    assert context.folder.read(DETECTOR) == kept
    assert not list(scratch.rglob("embeddings-*"))  # it was not trained again

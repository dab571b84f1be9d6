"""What settings mean, and what of them finished steps depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.rounds.context import Context
from engine.rounds.ledger import Ledger
from engine.rounds.recipe import RoundTraining
from pipelines.storage import Folder
from tests.engine.rounds.engines import settings_of


def people(data: Path, **changes: Any) -> dict[str, Any]:
    return settings_of(data, "out", people={"truth": "pool.json"} | changes).what_people_depend_on()


def test_people_are_bound_to_what_changes_their_records_alone(data: Path, tmp_path: Path) -> None:
    through = {"through": "label_studio"}
    server = {"server": {"url": "http://elsewhere"}, "instructions": "Go."}

    assert people(data, truth=f"{data}/pool.json") == people(data)
    assert people(data, **through, label_studio=server) == people(data, **through)
    assert people(data, truth="held-out.json") != people(data)
    assert people(data, annotator={"accept_iou": 0.5}) != people(data)
    for own in ({"annotators": 2}, {"winner": "first"}, {"names": ["Cell"]}):
        assert people(data, **through, label_studio=own) != people(data, **through)


@pytest.mark.parametrize(
    ("settings", "pictures"),
    [({"steps": 800}, 800), ({"steps": 2}, 64), ({"steps": 800, "cached_pictures": 100}, 100)],
)
def test_cached_embeddings_are_of_as_many_pictures_as_training_is_long(
    settings: dict[str, Any], pictures: int
) -> None:
    training = RoundTraining(mode="cached", **settings)

    made = training.configuration(data="data", start="tiny", seed=0, threads=1, device="cpu")

    assert made.data.repeat_after == pictures


def test_a_scratch_folder_is_no_other_engines_and_follows_the_store(
    data: Path, tmp_path: Path
) -> None:
    def context(out: str) -> Context:
        settings = settings_of(data, out, scratch=str(tmp_path))
        return Context(settings, 1, None, Ledger(Folder(out), ()))

    ours, theirs = context("memory://ours"), context("memory://theirs")
    ours.folder.write("a.safetensors", b"first")
    theirs.folder.write("a.safetensors", b"of another engine")

    assert ours.checkpoint_file("a.safetensors").read_bytes() == b"first"
    assert theirs.checkpoint_file("a.safetensors").read_bytes() == b"of another engine"
    ours.folder.write("a.safetensors", b"with thresholds")
    assert ours.checkpoint_file("a.safetensors").read_bytes() == b"with thresholds"

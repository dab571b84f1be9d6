"""What an engine does with trouble: it says so, and nothing that was done is lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine.rounds import ledger as ledger_module
from engine.rounds.context import Tools
from engine.rounds.ledger import open_ledger
from engine.rounds.run import Moment, run_engine
from engine.training.parameters import TrainingConfiguration
from engine.training.run import TrainingResult
from model.errors import ConfigurationError, StopError
from pipelines.storage import Folder
from tests.engine.rounds.engines import (
    FAKE_TOOLS,
    QUICK,
    SkillOf,
    learn,
    names,
    quickly,
    settings_of,
)


def test_a_round_without_photos_stops_and_the_ledger_stays(data: Path, tmp_path: Path) -> None:
    greedy = [{"stage": "assisted_manual", "photos": {"count": 6}, "repeat": 2}]

    with pytest.raises(StopError, match=r"round 2: none of the pool's 6 photos is left"):
        quickly(data, tmp_path / "out", rounds=greedy)
    assert names(open_ledger(str(tmp_path / "out")))[-1] == (1, "calibrate")


def test_a_round_in_which_nobody_annotated_stops_and_the_ledger_stays(
    data: Path, tmp_path: Path
) -> None:
    impatient = {"truth": "pool.json", "annotator": {"accept_iou": 1.0, "most_clicks": 1}}

    with pytest.raises(StopError, match=r"round 1: nobody confirmed a mask in its 1 photos"):
        quickly(data, tmp_path / "out", people=impatient)
    assert names(open_ledger(str(tmp_path / "out")))[-1] == (1, "propose")


def test_all_masks_rejected_stops_and_the_ledger_stays(data: Path, tmp_path: Path) -> None:
    automatic = [{"stage": "automatic", "photos": {"count": 1}, "proposing": QUICK}]

    with pytest.raises(StopError, match=r"not one mask is left for training \(model not sure"):
        run_engine(
            settings_of(data, tmp_path / "out", rounds=automatic, data={"sure_predicted_iou": 1.1}),
            tools=FAKE_TOOLS,
        )


def nan_training(configuration: TrainingConfiguration, folder: Path) -> TrainingResult:
    raise StopError("step 3: loss [nan]")


def unlearn(configuration: TrainingConfiguration, folder: Path) -> TrainingResult:
    """A training that diverges: what comes out is worse than what went in."""
    result = learn(configuration, folder)
    result.checkpoint.write_text("-3")
    return TrainingResult(result.checkpoint, f"{-3 % 2**64:016x}", result.steps, 0.0)


def test_a_loss_that_turns_nan_stops_and_the_next_call_goes_on(data: Path, tmp_path: Path) -> None:
    one_round = [{"stage": "assisted_manual", "photos": {"count": 1}}]
    settings = settings_of(data, tmp_path / "out", rounds=one_round)

    with pytest.raises(StopError, match=r"training went wrong: step 3: loss \[nan\]"):
        run_engine(settings, tools=Tools(SkillOf, nan_training))
    assert names(open_ledger(settings.out))[-1] == (1, "build")
    assert (1, "promote") in names(run_engine(settings, tools=FAKE_TOOLS).ledger)


def test_a_training_that_diverges_is_kept_out_by_the_gate(data: Path, tmp_path: Path) -> None:
    one_round = [{"stage": "assisted_manual", "photos": {"count": 1}}]
    settings = settings_of(data, tmp_path / "out", rounds=one_round)

    ledger = run_engine(settings, tools=Tools(SkillOf, unlearn)).ledger

    promoted = ledger.find(1, "promote")
    assert promoted is not None
    assert promoted.outputs == {}
    assert promoted.model_id == f"{0:016x}"
    assert "less than the margin" in (promoted.reason or "")


def test_a_foreign_folder_or_ledger_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"holds other things \(thesis\.txt\)"):
        quickly(data, tmp_path / "foreign")
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "engine.json").write_text('{"kind": "mask-engine engine"}')
    with pytest.raises(ConfigurationError, match="another program or a newer version"):
        quickly(data, tmp_path / "newer")


def test_data_that_is_not_there_is_missed_before_any_work(data: Path, tmp_path: Path) -> None:
    people = {"truth": "nowhere.json"}
    held_out = {"truth": "nowhere.json"}
    for changes in ({"people": people}, {"held_out": held_out}, {"pool": {"source": "nowhere"}}):
        with pytest.raises(ConfigurationError, match="nowhere"):
            quickly(data, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_stores_that_cannot_be_locked_are_refused(data: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs a local disk or S3"):
        run_engine(settings_of(data, "memory://engine"), tools=FAKE_TOOLS)


def test_a_full_disk_at_a_commit_stops_and_the_next_call_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Folder.write

    def full(self: Folder, name: str, data: bytes) -> None:
        if "000007.json" in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, data)

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(StopError, match="the disk is full"):
        quickly(data, tmp_path / "out")
    assert len(open_ledger(str(tmp_path / "out")).entries) == 6
    monkeypatch.undo()
    assert (1, "promote") in names(quickly(data, tmp_path / "out").ledger)


def test_a_clock_that_runs_backwards_changes_nothing_and_a_hole_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    years = iter(range(2026, 1900, -1))
    monkeypatch.setattr(ledger_module, "timestamp", lambda: f"{next(years)}-01-01T00:00:00+00:00")

    ledger = quickly(data, out).ledger

    assert [entry.number for entry in ledger.entries] == list(range(1, 15))
    assert ledger.entries[0].finished > ledger.entries[-1].finished
    assert open_ledger(str(out)).find(1, "promote") is not None
    (out / "ledger" / "000003.json").unlink()
    with pytest.raises(ConfigurationError, match=r"entry 3 is missing \(found 000004\.json"):
        quickly(data, out)


def test_a_commit_that_another_process_was_faster_with_is_refused(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def rival(moment: Moment) -> None:
        if (moment.what, moment.step) == ("made", "plan"):
            (out / "ledger" / "000006.json").write_text("{}")

    with pytest.raises(StopError, match="another process writes to this ledger"):
        run_engine(settings_of(data, out), tools=FAKE_TOOLS, observe=rival)

"""What an engine does with trouble: it says so, and nothing that was done is lost."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from engine.rounds import ledger as ledger_module
from engine.rounds.context import Tools
from engine.rounds.ledger import open_ledger
from engine.rounds.run import Moment, context_of, run_engine
from engine.training.parameters import TrainingConfiguration
from engine.training.run import TrainingResult
from model.errors import ConfigurationError, StopError
from pipelines.removals import Removal, note_removal
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

ONE = {"stage": "assisted_manual", "photos": {"count": 1}}


def test_a_round_without_photos_stops_and_the_ledger_stays(data: Path, tmp_path: Path) -> None:
    greedy = [{"stage": "assisted_manual", "photos": {"count": 6}, "repeat": 2}]

    with pytest.raises(StopError, match=r"round 2: none of the pool's 6 photos is left"):
        quickly(data, tmp_path / "out", rounds=greedy)
    ledger = open_ledger(str(tmp_path / "out"))
    assert names(ledger)[-1] == (1, "calibrate")

    # A step that never committed is no dead end: neither for other settings, nor for a rollback.
    assert ledger.begun_with(2, "plan") is not None
    other = [greedy[0] | {"repeat": 1}, {"stage": "automatic", "photos": {"count": 1}}]
    with pytest.raises(StopError, match=r"round 2: none of the pool's 6 photos is left"):
        quickly(data, tmp_path / "out", rounds=other)
    assert names(open_ledger(str(tmp_path / "out")).rolled_back(2))[-1] == (1, "calibrate")


def test_a_round_whose_photos_were_all_taken_out_says_so_and_can_choose_others(
    data: Path, tmp_path: Path
) -> None:
    settings = settings_of(data, tmp_path / "out", rounds=[ONE], calibration=None)

    def take_out(moment: Moment) -> None:
        if (moment.what, moment.step) == ("committed", "plan"):
            context = context_of(settings, 1, open_ledger(settings.out), FAKE_TOOLS)
            (photo,) = context.photos_of(1)
            note_removal(context.folder, Removal(photo.image_id, 0, "asked to", ""))

    with pytest.raises(
        StopError, match=r"round 1: all of its photos were taken out.*rollback 1 CONFIG"
    ):
        run_engine(settings, tools=FAKE_TOOLS, observe=take_out)
    assert names(open_ledger(settings.out))[-1] == (1, "propose")

    open_ledger(settings.out).rolled_back(1)
    assert (1, "promote") in names(run_engine(settings, tools=FAKE_TOOLS).ledger)


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


def test_a_failed_training_begins_anew_with_other_settings_and_people_keep_their_work(
    data: Path, tmp_path: Path
) -> None:
    own = {"stage": "assisted_manual", "photos": {"count": 1}}
    settings = settings_of(data, tmp_path / "out", rounds=[own], calibration=None)
    with pytest.raises(StopError, match="give this round a `train` of its own"):
        run_engine(settings, tools=Tools(SkillOf, nan_training))
    collected = open_ledger(settings.out).find(1, "collect")

    slower = own | {"train": {"steps": 5, "learning_rate": 1e-5}}
    mended = settings_of(data, tmp_path / "out", rounds=[slower], calibration=None)
    ledger = run_engine(mended, tools=FAKE_TOOLS).ledger

    trained = ledger.find(1, "train")
    assert ledger.find(1, "collect") == collected
    assert trained is not None
    assert (trained.generation, trained.settings["train"]["learning_rate"]) == (2, 1e-5)
    assert trained.outputs["checkpoint"] == "rounds/01-2/candidate.safetensors"
    assert [e.reason for e in ledger.entries if e.kind == "anew"] == [
        "train begins anew: train.learning_rate was 0.0002, now 1e-05"
    ]


def with_nan_weights(configuration: TrainingConfiguration, folder: Path) -> TrainingResult:
    """A training that ends well, with a weight that is no number."""
    from model.checkpoints import load_checkpoint, read_card, write_checkpoint
    from model.weights_id import weights_id

    weights = load_checkpoint("starter").sam.state_dict()
    first = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[first] = weights[first] * float("nan")
    folder.mkdir(parents=True)
    path = folder / "checkpoint.safetensors"
    card = replace(read_card("starter"), model_id=weights_id(weights))
    write_checkpoint(path, weights, card)
    return TrainingResult(path, "0" * 16, 1, 0.0)


def test_weights_that_are_no_numbers_are_not_committed(data: Path, tmp_path: Path) -> None:
    first = {
        "data": {"sources": [{"kind": "procedural"}]},
        "session": {"start": "tiny", "loop": {"steps": 1}},
    }

    with pytest.raises(StopError, match=r"first model's training went wrong: .* NaN or infinity"):
        run_engine(
            settings_of(data, tmp_path / "out", first=first), tools=Tools(train=with_nan_weights)
        )
    assert names(open_ledger(str(tmp_path / "out"))) == [(0, "import")]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_a_full_disk_in_training_is_told_as_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fill(configuration: TrainingConfiguration, folder: Path) -> TrainingResult:
        raise error

    full = shutil._ntuple_diskusage(2**30, 2**30, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda where: full)
    with pytest.raises(StopError, match=r"round 1, train: the disk is full.*Free some space"):
        run_engine(
            settings_of(data, tmp_path / "out", rounds=[ONE], calibration=None),
            tools=Tools(SkillOf, fill),
        )


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

"""A whole engine from the first photo to the last promotion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.quality import calibrate as calibrate_module
from engine.rounds.figures import figures_of, times_fewer
from engine.rounds.ledger import Ledger, open_ledger
from engine.rounds.report import report_lines, write_report
from engine.rounds.run import Moment, Stopped, run_engine
from engine.rounds.status import plan_lines, status_json, status_lines
from model.errors import ConfigurationError, StopError
from pipelines.lock import folder_lock
from pipelines.shards import read_rows
from pipelines.storage import Folder
from tests.engine.rounds.engines import (
    FAKE_TOOLS,
    QUICK,
    names,
    quickly,
    settings_of,
)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Stopped]:
    settings = settings_of(data, tmp_path_factory.mktemp("engine") / "out", controls=True)
    return settings, run_engine(settings, tools=FAKE_TOOLS)


def test_every_step_of_every_round_is_in_the_ledger_once(finished: tuple[Any, Stopped]) -> None:
    _, stopped = finished
    done = names(stopped.ledger)

    assert len(done) == len(set(done)) == 5 + 3 * 9 + 4
    assert [entry.number for entry in stopped.ledger.entries] == list(range(1, len(done) + 1))
    assert all(entry.code["mask-engine"] for entry in stopped.ledger.entries)
    assert all(entry.settings_digest for entry in stopped.ledger.entries)


def test_better_candidates_are_promoted_and_the_reason_is_kept(
    finished: tuple[Any, Stopped],
) -> None:
    _, stopped = finished
    promoted = [e for e in stopped.ledger.standing if e.step == "promote" and e.outputs]

    assert [e.model_id for e in promoted[:3]] == [f"{skill:016x}" for skill in range(3)]
    assert "IoU after one click" in (promoted[1].reason or "")
    assert promoted[1].figures["replaces"] == f"{0:016x}"
    assert stopped.ledger.folder.exists(promoted[1].outputs["checkpoint"])


def test_rounds_take_other_photos_and_join_what_came_of_them(
    finished: tuple[Any, Stopped],
) -> None:
    settings, stopped = finished
    ledger = stopped.ledger
    planned = [e.counts["photos"] for e in ledger.standing if e.step == "plan"]
    last = ledger.find(3, "build")

    assert planned == [2, 2, 1]
    assert last is not None
    rows = list(read_rows(f"{settings.out}/{last.outputs['train']}"))
    assert len({row.ref.image_id for row in rows}) == 5
    assert all(row.image for row in rows)
    assert {row.round for row in rows} == {1, 2, 3}


def test_controls_do_the_same_without_retraining_and_without_people(
    finished: tuple[Any, Stopped],
) -> None:
    _, stopped = finished
    same, alone = stopped.ledger.last("same-clicks"), stopped.ledger.last("machine-evaluate")

    assert same is not None
    assert same.model_id == f"{0:016x}"
    assert alone is not None
    assert set(alone.figures["gain_of_rounds"]) >= {"clicks_90", "iou_1", "ar_1000"}


def test_a_finished_engine_has_nothing_to_do(finished: tuple[Any, Stopped]) -> None:
    settings, stopped = finished
    moments: list[Moment] = []

    again = run_engine(settings, tools=FAKE_TOOLS, observe=moments.append)

    assert not moments
    assert again.ledger.entries == stopped.ledger.entries


def test_rounds_in_the_place_of_the_controls_are_refused(finished: tuple[Any, Stopped]) -> None:
    settings, _ = finished
    more = settings.model_copy(update={"rounds": (*settings.rounds, settings.rounds[0])})

    with pytest.raises(ConfigurationError, match=r"touches round 4.*mask-engine rollback 4"):
        run_engine(more, tools=FAKE_TOOLS)


def test_status_shows_rounds_effort_and_checkpoints(finished: tuple[Any, Stopped]) -> None:
    settings, stopped = finished
    text = "\n".join(status_lines(stopped.ledger, settings))

    assert text.startswith("finished")
    assert "2 semi_automatic" in text
    assert "clicks a mask" in text
    assert "AR@1000" in text
    assert "again with the first model" in text
    assert status_json(stopped.ledger, settings)["next"] is None
    assert all(" done " in line for line in plan_lines(settings) if "evaluate" in line)


def test_the_report_has_tables_and_plots_of_whatever_stands_in_the_ledger(
    finished: tuple[Any, Stopped], tmp_path: Path
) -> None:
    _, stopped = finished
    ledger = stopped.ledger

    page = write_report(ledger, "finished", tmp_path / "report")
    text = page.read_text()

    assert "| machine alone |" in text
    assert "| without retraining |" in text
    assert "against the first model" in text
    assert {path.name for path in page.parent.iterdir()} == {
        "README.md",
        "figures.json",
        "clicks.png",
        "masks.png",
    }
    for count in range(len(ledger.entries)):
        part = Ledger(ledger.folder, ledger.entries[:count])
        assert report_lines(figures_of(part), "stopped")[0] == "# Rounds"


def test_the_report_says_what_each_model_learned_from_the_controls_too(
    finished: tuple[Any, Stopped],
) -> None:
    _, stopped = finished
    figures = figures_of(stopped.ledger)

    assert [(one.name, one.steps, one.steps_in_all, one.photos) for one in figures.lessons] == [
        ("1", 5, 5, 2),
        ("2", 5, 10, 4),
        ("3", 5, 15, 5),
        ("machine alone", 15, 15, 5),
    ]
    text = "\n".join(report_lines(figures, "finished"))
    assert "| round | steps | since the first model | photos | masks |" in text
    assert f"| machine alone | 15 | 15 | 5 | {figures.lessons[-1].masks} |" in text


def test_figures_come_with_intervals_and_falls_are_paired(finished: tuple[Any, Stopped]) -> None:
    _, stopped = finished
    figures = figures_of(stopped.ledger)
    before = np.array([[20.0, 2.0], [30.0, 2.0], [10.0, 2.0]])

    fall = times_fewer(before, before / (2, 1))

    assert (fall.value, fall.low, fall.high) == pytest.approx((2.0, 2.0, 2.0))
    assert [model.name for model in figures.models] == ["0", "1", "2", "3", "machine alone"]
    assert figures.models[0].is_used
    assert not figures.models[-1].is_used
    for model in figures.models:
        assert all(e.low <= e.value <= e.high for e in model.values.values())
    assert [effort.name for effort in figures.efforts] == ["1", "2", "without retraining"]
    with pytest.raises(ValueError, match="3 and 2 photos cannot be paired"):
        times_fewer(before, before[:2])


def test_thresholds_of_a_promoted_model_stand_in_the_ledger_with_what_they_rest_on(
    finished: tuple[Any, Stopped],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, stopped = finished
    steps = [e for e in stopped.ledger.standing if e.step == "calibrate"]

    assert [entry.counts.get("photos") for entry in steps[:3]] == [3, 3, 3]
    assert all("thresholds stay as they were" in (e.reason or "") for e in steps[:3])

    monkeypatch.setattr(calibrate_module, "LEAST_KEPT", 1)
    grid = {"points_per_side": 3, "min_region_area_px": 0}
    easy = {"precision": 0.1, "right_iou": 0.1, "parameters": grid}
    found = quickly(data, tmp_path / "out", calibration=easy).ledger.find(1, "calibrate")
    assert found is not None
    assert found.figures["precision"] >= 0.1
    assert set(found.figures) >= {"predicted_iou", "stability", "right_kept"}
    assert "give a precision of" in (found.reason or "")


def test_photos_that_the_model_is_least_sure_of_come_first(data: Path, tmp_path: Path) -> None:
    least_sure = [
        {
            "stage": "assisted_manual",
            "photos": {"count": 2, "order": "least_sure", "looked_at": 2},
            "proposing": QUICK,
        }
    ]
    entry = quickly(data, tmp_path / "out", rounds=least_sure).ledger.find(1, "plan")

    assert entry is not None
    assert entry.figures["doubt_of_chosen"] >= entry.figures["doubt_of_all"]


def test_existing_masks_are_round_0(data: Path, tmp_path: Path) -> None:
    existing = [{"format": "coco", "path": "pool.json", "photos": "pool"}]
    again = [{"stage": "assisted_manual", "photos": {"count": 1, "existing_again": True}}]
    ledger = quickly(data, tmp_path / "out", existing=existing, rounds=again).ledger
    imported, built = ledger.find(0, "import"), ledger.find(1, "build")

    assert imported is not None
    assert imported.counts["masks"] == 12
    assert built is not None
    assert built.counts["train_photos"] == 6
    switched_off = ledger.find(1, "calibrate")
    assert switched_off is not None
    assert switched_off.reason == "calibration is switched off"
    with pytest.raises(StopError, match=r"round 1: none of the pool's 6 photos is left"):
        quickly(data, tmp_path / "new", existing=existing)


def test_a_second_call_at_once_says_so_and_does_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        folder_lock(Folder(str(out))),
        pytest.raises(ConfigurationError, match=r"process \d+ on .* is at work here"),
    ):
        quickly(data, out)
    assert not (out / "ledger").exists()


def test_changes_and_rollbacks(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    quickly(data, out)

    with pytest.raises(ConfigurationError, match=r"train\.steps was 5, now 6.*touches round 1"):
        quickly(data, out, train={"steps": 6})
    people = {"truth": "pool.json", "annotator": {"accept_iou": 0.7, "most_clicks": 2}}
    with pytest.raises(ConfigurationError, match=r"accept_iou was 0\.6, now 0\.7"):
        quickly(data, out, people=people)

    # A change for rounds to come is welcome.
    two = [{"stage": "assisted_manual", "photos": {"count": 1}, "repeat": 2}]
    assert (2, "promote") in names(quickly(data, out, rounds=two).ledger)

    rolled = open_ledger(str(out)).rolled_back(1)
    assert {entry.round for entry in rolled.standing} == {0}
    again = quickly(data, out, train={"steps": 7}).ledger
    trained = again.find(1, "train")
    assert trained is not None
    assert (trained.counts["steps"], trained.generation) == (7, 2)
    assert trained.outputs["checkpoint"] == "rounds/01-2/candidate.safetensors"
    assert (out / "rounds/01/candidate.safetensors").exists()
    with pytest.raises(ConfigurationError, match="nothing of round 9 to roll back"):
        again.rolled_back(9)

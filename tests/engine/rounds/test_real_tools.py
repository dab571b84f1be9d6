"""The engine with its real model, training and detector, as small as they can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rounds_rehearsal import toy_of
from engine.configuration import read_yaml
from engine.quality import calibrate as calibrate_module
from engine.rounds.run import run_engine
from model.checkpoints import read_card
from tests.engine.rounds.engines import make_data, settings_of

EXPERIMENTS = Path(__file__).parents[3] / "configs" / "experiments"
LOW = {"points_per_side": 3, "min_predicted_iou": 0.0, "min_stability": 0.0}


@pytest.mark.slow
def test_a_round_of_people_and_one_with_a_detector_train_the_real_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_module, "LEAST_KEPT", 1)  # of two discs
    data = make_data(tmp_path / "data", pool=3, held_out=1)
    settings = settings_of(
        data,
        tmp_path / "out",
        start="starter",
        rounds=[
            {"stage": "assisted_manual", "photos": {"count": 2}},
            {
                "stage": "semi_automatic",
                "photos": {"count": 1},
                "sure_predicted_iou": 0.0,
                "detector": {
                    "schedule": {"steps": 2},
                    "parameters": {"min_predicted_iou": 0.0, "min_stability": 0.0},
                },
            },
        ],
        held_out={"truth": "held-out.json", "images": "held-out", "most_clicks": 2}
        | {"parameters": LOW},
        calibration={
            "precision": 0.01,
            "right_iou": 0.1,
            "lowest_predicted_iou": 0.0,
            "lowest_stability": 0.0,
            "parameters": {"points_per_side": 3},
        },
        train={
            "steps": 2,
            "recipe": {
                "data": {
                    "side_px": 64,
                    "images_per_step": 1,
                    "masks_per_image": 2,
                    "drawing_processes": 0,
                }
            },
        },
    )

    ledger = run_engine(settings).ledger

    trained = [entry.model_id for entry in ledger.standing if entry.step == "train"]
    assert len(set(trained)) == 3
    proposed = ledger.find(2, "propose")
    assert proposed is not None
    assert proposed.outputs["run"] == "rounds/02/detected/proposals"
    assert ledger.find(2, "promote") is not None
    calibrated = ledger.find(0, "calibrate")
    assert calibrated is not None
    card = read_card(tmp_path / "out" / calibrated.outputs["checkpoint"])
    assert card.thresholds is not None
    assert card.thresholds.predicted_iou == calibrated.figures["predicted_iou"]
    assert card.model_id == calibrated.model_id


@pytest.mark.slow
def test_the_experiment_goes_through_at_toy_size_with_every_step(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", pool=12, held_out=5)
    places = {
        "pool": {"source": "pool", "name": "pool"},
        "people": {"truth": "pool.json"},
        "held_out": {"truth": "held-out.json", "images": "held-out"},
    }
    config = dict(read_yaml(str(EXPERIMENTS / "rounds.yaml")))
    settings = toy_of(config, out=str(tmp_path / "out"), data_root=str(data), threads=1, **places)

    ledger = run_engine(settings).ledger

    assert len(ledger.standing) == 5 + 6 * 9 + 4
    assert ledger.last("machine-evaluate") is not None

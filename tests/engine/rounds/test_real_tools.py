"""The engine with its real model, training and detector, as small as they can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rounds.run import run_engine
from tests.engine.rounds.engines import make_data, settings_of

LOW = {"points_per_side": 3, "min_predicted_iou": 0.0, "min_stability": 0.0}


@pytest.mark.slow
def test_a_round_of_people_and_one_with_a_detector_train_the_real_model(tmp_path: Path) -> None:
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

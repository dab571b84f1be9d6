"""Rounds whose simulated annotator works in a real Label Studio, by the requests of a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rounds.run import run_engine
from pipelines.shards import read_rows
from tests.engine.real_studio import RealStudio
from tests.engine.rounds.engines import FAKE_TOOLS, QUICK, make_data, settings_of

pytestmark = [pytest.mark.label_studio, pytest.mark.timeout(900)]


def test_clicks_outlines_and_brush_go_through_the_server(
    tmp_path: Path, real_studio: RealStudio
) -> None:
    data = make_data(tmp_path / "data", pool=3, held_out=1)
    people = {
        "truth": "pool.json",
        "through": "label_studio",
        "annotator": {"accept_iou": 0.6, "most_clicks": 2, "draws_by_hand": True},
    }
    rounds = [
        {"stage": "assisted_manual", "photos": {"count": 2}},
        {
            "stage": "semi_automatic",
            "photos": {"count": 1},
            "proposing": QUICK,
            "sure_predicted_iou": 0.7,
        },
    ]
    settings = settings_of(
        data,
        tmp_path / "out",
        rounds=rounds,
        people=people,
        pool={"source": "pool", "name": f"pool-{tmp_path.name}"},
    )

    ledger = run_engine(settings, tools=FAKE_TOOLS).ledger

    first, second = ledger.find(1, "collect"), ledger.find(2, "collect")
    assert first is not None
    assert (first.counts["photos"], first.counts["masks"]) == (2, 4)
    assert first.counts["clicks"] >= 4
    rows = list(read_rows(f"{settings.out}/{first.outputs['run']}"))
    assert {mask.origin for row in rows for mask in row.masks} == {"simulated"}
    assert "clicks" in {mask.seconds_from for row in rows for mask in row.masks}
    assert all(row.exhaustive for row in rows)
    assert second is not None
    assert second.counts["masks"] == 2
    assert ledger.find(2, "calibrate") is not None
    with real_studio.client() as studio:
        titles = {project["title"] for project in studio.projects()}
    assert {"Round 1 of out", "Round 2 of out"} <= titles

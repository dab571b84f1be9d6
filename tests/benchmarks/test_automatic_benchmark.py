"""The comparison with the published package says what it measured, and fails where it should."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stages.records import MaskRecord
from tests.factories import make_mask

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALLEST = "480x640 vit_t192 whole"
# What two processes say of memory, and one of everything else.
COMPARED = {
    "official": {"wall_s": 60.0, "cpu_s": 110.0},
    "official_tuned": {"wall_s": 30.0, "cpu_s": 55.0},
    "ours": {"wall_s": 5.0, "cpu_s": 10.0},
    "ours_untuned": {"wall_s": 6.0, "cpu_s": 12.0},
    "steps_official": {"decoder": 50.0, "encoder": 10.0},
    "steps_ours": {"decoder": 4.0, "encoder": 1.0},
    "thresholds": [0.9, 0.95],
    "masks": 12,
    "agreement": {"of_official": 1.0, "of_ours": 0.998, "max_score_difference": 1e-5},
    "gigaflop": 500.0,
    "peak_gigaflop_s": 250.0,
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def run(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The benchmark's `main` on what `compared` says instead of an hour's work."""
    benchmark = script("automatic")

    def run(*arguments: str, **compared: Any) -> int:
        def in_a_process(part: str, case: object) -> dict[str, Any]:
            return COMPARED | compared if part == "compare" else {"peak_mb": 900.0}

        monkeypatch.setattr(benchmark, "_in_a_process", in_a_process)
        monkeypatch.setattr(sys, "argv", ["automatic.py", *arguments])
        code: int = benchmark.main()
        return code

    return run


def released(mask: MaskRecord, **changes: float) -> dict[str, Any]:
    """A mask as the published generator gives it."""
    scores = {"predicted_iou": mask.predicted_iou, "stability_score": mask.stability_score}
    return {"segmentation": mask.segmentation.as_coco(), **scores, **changes}


def rectangle(left: int, width: int) -> MaskRecord:
    return make_mask(
        box_xywh=(left, 5, width, 30),
        size_hw=(40, 200),
        predicted_iou=0.9,
        stability_score=0.95,
    )


def test_agreement_is_counted_both_ways(script: Callable[[str], ModuleType]) -> None:
    compare = script("agreement").compare
    one, two, three = rectangle(0, 100), rectangle(100, 50), rectangle(160, 30)
    nearly_one = rectangle(0, 98)  # IoU 0.98

    found = compare([released(one), released(two, predicted_iou=0.9005)], [one, two])
    assert (found.of_official, found.of_ours) == (1.0, 1.0)
    assert found.max_score_difference == pytest.approx(0.0005)

    found = compare([released(one), released(two)], [one, two, three, nearly_one])
    assert (found.of_official, found.of_ours) == (1.0, 0.5)
    found = compare([released(one), released(two), released(three)], [nearly_one, three])
    assert (found.of_official, found.of_ours) == (pytest.approx(1 / 3), 0.5)
    with pytest.raises(SystemExit, match="2 and 0 masks: there is nothing to compare"):
        compare([released(one), released(two)], [])


def test_a_result_says_what_was_compared_and_how_it_came_out(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "speed.json", tmp_path / "speed.png"
    assert run("--only", SMALLEST, "--json", str(file), "--plot", str(picture)) == 0
    (row,) = json.loads(file.read_text())["results"]
    expected = {
        "photo": "480x640",
        "model": "vit_t192",
        "crop_layers": 0,
        "points_per_side": 32,
        "official_s": 60.0,
        "official_same_allocator_s": 30.0,
        "ours_s": 5.0,
        "ratio": 12.0,
        "ratio_same_allocator": 6.0,
        "agreement": 0.998,  # the worse of both ways
        "max_score_difference": 1e-5,
        "peak_mb": 900.0,
        "share_of_peak": 0.4,
    }
    assert {name: row[name] for name in expected} == expected
    assert "12.0 x" in capsys.readouterr().out
    assert picture.stat().st_size > 1000

    assert run("--only", "480x640 vit_b whole", "--json", str(file)) == 0
    rows = json.loads(file.read_text())["results"]
    assert [row["model"] for row in rows] == ["vit_t192", "vit_b"]


def test_cases_of_several_grids_stand_beside_each_other(
    run: Callable[..., int],
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, picture = tmp_path / "speed.json", tmp_path / "speed.png"
    assert run("--only", "whole", "--json", str(file)) == 0
    assert run("--only", "crops", "--points-per-side", "16", "--json", str(file)) == 0
    rows = json.loads(file.read_text())["results"]
    grids = [(row["photo"], row["crop_layers"], row["points_per_side"]) for row in rows]
    assert grids == [
        *([("1500x2250", 0, 32)] * 2 + [("480x640", 0, 32)] * 2),
        *[("1500x2250", 1, 16), ("480x640", 1, 16)],
    ]

    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["automatic_table.py", str(file), "--plot", str(picture)])
    script("automatic_table").main()
    told = capsys.readouterr().out.splitlines()
    assert told[3].startswith("| 1500x2250 | `vit_t192`, 2x2 crops | 16x16 | 60.0 s | 30.0 s | 5.0")
    assert "| decoder | 50.0 | 4.0 |" in told
    assert picture.stat().st_size > 1000


def test_a_case_that_is_not_there_is_refused(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("--only", "vit_q")
    assert "--only 'vit_q' is in no case's name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [
        {"official": {"wall_s": 15.0, "cpu_s": 30.0}},
        {"official_tuned": {"wall_s": 10.0, "cpu_s": 20.0}},
        {"agreement": {"of_official": 0.99, "of_ours": 1.0, "max_score_difference": 0.0}},
        {"agreement": {"of_official": 1.0, "of_ours": 1.0, "max_score_difference": 0.01}},
    ],
    ids=["too slow", "too slow with the same allocator", "other masks", "other scores"],
)
def test_a_missed_bar_is_an_exit_code(run: Callable[..., int], changed: dict[str, Any]) -> None:
    assert run("--only", SMALLEST, **changed) == 1
    assert run("--only", SMALLEST, "--quick", **changed) == 0


@pytest.mark.slow
def test_the_smallest_case_finds_the_published_package_s_masks(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    small = ["--quick", "--points-per-side", "4", "--only", SMALLEST, "--json", str(file)]
    subprocess.run(
        [sys.executable, str(BENCHMARKS / "automatic.py"), *small],
        check=True,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)},
    )
    (row,) = json.loads(file.read_text())["results"]
    assert row["masks"] > 3
    assert row["agreement"] == 1.0
    assert row["max_score_difference"] < 1e-3
    assert 0.0 < row["share_of_peak"] < 1.0

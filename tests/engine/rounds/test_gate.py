from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.evaluation.clicking import ClickedMask
from engine.rounds.gate import MEASURES, GateParameters, judge, value_of
from engine.rounds.measured import Measured, MeasuredPhoto, mean_iou
from model.errors import ConfigurationError
from stages.rle import Rle
from tests.engine.rounds.engines import quickly, settings_of

HELD_OUT = {"truth": "held-out.json", "images": "held-out"}


def measured(
    clicks: float,
    *,
    spread: float = 0.3,
    recall: float = 0.5,
    proposals: int = 10,
    photos: int = 20,
    seed: int = 0,
    first_clicks: float | None = 0.7,
) -> Measured:
    rng = np.random.default_rng(seed)
    entries = []
    for number in range(photos):
        needed = (clicks + spread * rng.normal(size=5)).tolist()
        entries.append(
            MeasuredPhoto(
                path=f"{number}.png",
                clicks={"85": needed, "90": needed},
                iou_1=[0.6] * 5,
                mean_iou=[] if first_clicks is None else [first_clicks] * 5,
                truths=10,
                proposals=proposals,
                recall={"100": recall, "1000": recall},
                found=5,
                untouched=2,
            )
        )
    return Measured(model_id="0" * 16, photos=entries)


def test_a_clear_gain_is_promoted_with_its_reason() -> None:
    verdict = judge(measured(6.0), measured(4.0, seed=1), GateParameters())

    assert verdict.promoted
    assert "clicks to 90 % IoU" in verdict.reason
    assert "better" in verdict.reason


def test_chance_does_not_promote() -> None:
    promoted = [
        judge(
            measured(6.0, spread=3, seed=2 * seed),
            measured(6.0, spread=3, seed=2 * seed + 1),
            GateParameters(margin=0.0),
        ).promoted
        for seed in range(60)
    ]

    # The interval is two-sided at 95 %: one in forty, and 60 tries.
    assert sum(promoted) <= 5


def test_a_gain_below_the_margin_keeps_the_old_model() -> None:
    verdict = judge(
        measured(6.0, spread=0.0), measured(5.95, spread=0.0), GateParameters(margin=0.02)
    )

    assert not verdict.promoted
    assert "less than the margin of 2.0%" in verdict.reason


def test_a_model_that_forgot_automatic_masks_is_caught() -> None:
    verdict = judge(measured(6.0), measured(3.0, recall=0.2, seed=1), GateParameters())

    assert not verdict.promoted
    assert "AR@100 of automatic masks 0.500 -> 0.200, 60.0% worse" in verdict.reason
    assert "over the tolerance of 10.0%" in verdict.reason


def test_a_model_that_finds_ten_times_too_many_is_caught() -> None:
    verdict = judge(measured(6.0), measured(3.0, proposals=100, seed=1), GateParameters())

    assert not verdict.promoted
    assert "too many or too few" in verdict.reason


def test_masks_that_never_reach_a_target_still_count_in_the_mean_of_the_first_clicks() -> None:
    never = measured(20.0, spread=0.0, first_clicks=0.6)
    better = measured(20.0, spread=0.0, first_clicks=0.66)

    verdict = judge(never, better, GateParameters(measure="mean_iou"))

    assert verdict.promoted
    assert "mean IoU over clicks 1 to 5 0.600 -> 0.660, 10.0% better" in verdict.reason
    assert not judge(never, better, GateParameters(measure="clicks_85")).promoted
    three_clicks = ClickedMask(9, (0.2, 0.5, 0.9), (), (), (), first_mask=Rle((3, 3), ""))
    assert mean_iou(three_clicks) == pytest.approx((0.2 + 0.5 + 3 * 0.9) / 5)


def test_an_evaluation_from_before_a_measure_is_compared_in_all_others() -> None:
    old, new = measured(6.0, first_clicks=None), measured(4.0, seed=1)

    verdict = judge(old, new, GateParameters())

    assert verdict.promoted
    assert {entry.name for entry in verdict.compared} == MEASURES.keys() - {"mean_iou"}
    with pytest.raises(ConfigurationError, match=r"gate\.measure is mean_iou.*--from evaluate"):
        judge(old, new, GateParameters(measure="mean_iou"))


def test_so_few_held_out_photos_that_chance_decides_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"held_out\.photos is 2.*asks for 5"):
        settings_of(data, tmp_path / "out", held_out=HELD_OUT | {"photos": 2}, gate={})
    with pytest.raises(ConfigurationError, match=r"compared on 3 held-out photos.*is 5"):
        quickly(data, tmp_path / "out", gate={})
    assert not (tmp_path / "out").exists()


def test_a_truth_of_other_photos_is_refused_before_any_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(ConfigurationError, match=r"none\.json: knows none of the .*truth"):
        quickly(data, tmp_path / "out", people={"truth": str(tmp_path / "none.json")})
    assert not (tmp_path / "out").exists()


def test_other_masks_cannot_be_compared() -> None:
    with pytest.raises(ConfigurationError, match="not of the same masks"):
        judge(measured(6.0), measured(4.0, photos=19), GateParameters())


def test_every_measure_is_a_ratio_over_photos() -> None:
    values = {name: value_of(name, measured(6.0, spread=0.0)) for name in MEASURES}

    assert values == pytest.approx(
        {
            "clicks_85": 6.0,
            "clicks_90": 6.0,
            "iou_1": 0.6,
            "mean_iou": 0.7,
            "ar_100": 0.5,
            "ar_1000": 0.5,
            "count_error": 0.0,
        }
    )

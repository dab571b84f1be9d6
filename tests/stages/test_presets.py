from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model.errors import ConfigurationError
from stages.parameters import AutomaticParameters
from stages.presets import PRESETS, parameters_for, resolve_thresholds

ADVICE = {"predicted_iou": 0.8, "stability": 0.9}


def test_sa1b_is_the_papers_chain() -> None:
    sa1b = PRESETS["sa1b"]
    assert (sa1b.points_per_side, sa1b.crop_layers, sa1b.crop_points_downscale) == (32, 2, 2)
    assert sa1b.crop_overlap == 512 / 1500
    assert (sa1b.min_predicted_iou, sa1b.min_stability) == (0.88, 0.95)
    assert (sa1b.stability_offset, sa1b.max_image_share) == (1.0, 0.95)
    assert (sa1b.nms_iou, sa1b.crop_nms_iou, sa1b.min_region_area_px) == (0.7, 0.7, 100)


def test_default_and_fast_look_at_the_whole_photo_only() -> None:
    assert (PRESETS["default"].points_per_side, PRESETS["default"].crop_layers) == (32, 0)
    assert (PRESETS["fast"].points_per_side, PRESETS["fast"].crop_layers) == (16, 0)


@pytest.mark.parametrize(
    ("preset", "user", "advice", "expected", "why"),
    [
        ("default", {"min_predicted_iou": 0.5}, ADVICE, (0.5, 0.9), "set by the user"),
        ("sa1b", {"min_predicted_iou": 0.5}, ADVICE, (0.5, 0.95), "set by the user"),
        ("sa1b", {}, ADVICE, (0.88, 0.95), "preset sa1b"),
        ("fast", {}, ADVICE, (0.8, 0.9), "recommended by the checkpoint"),
        ("default", {}, {}, (0.88, 0.95), "the paper's; the checkpoint recommends none"),
        ("default", {}, None, (0.88, 0.95), "the paper's; the checkpoint recommends none"),
    ],
)
def test_thresholds_come_from_whoever_has_the_last_word(
    preset: str,
    user: dict[str, Any],
    advice: dict[str, float] | None,
    expected: tuple[float, float],
    why: str,
) -> None:
    resolved = resolve_thresholds(preset, user, advice)
    assert (resolved.predicted_iou, resolved.stability) == expected
    assert resolved.reasons[0] == f"predicted IoU of at least {expected[0]:g}: {why}"
    assert resolved.reasons[1].startswith(f"stability of at least {expected[1]:g}: ")


def test_zero_is_a_setting_too() -> None:
    assert resolve_thresholds("sa1b", {"min_stability": 0}, ADVICE).stability == 0


def test_settings_lie_on_top_of_the_preset() -> None:
    parameters, thresholds = parameters_for("sa1b", {"points_per_side": 8, "nms_iou": 0.5}, ADVICE)
    assert (parameters.points_per_side, parameters.nms_iou, parameters.crop_layers) == (8, 0.5, 2)
    assert parameters.min_predicted_iou == thresholds.predicted_iou == 0.88


@pytest.mark.parametrize(
    ("preset", "user", "message"),
    [
        ("sa1", {}, r"no preset is called 'sa1'; there are default, fast, sa1b .*'sa1b'"),
        ("fast", {"point_per_side": 8}, r"no setting 'point_per_side' \(did you mean 'points_per"),
        ("fast", {"points_per_side": 0}, r"points_per_side must be .* from 1 to 256, but is 0"),
        (
            "fast",
            {"points_per_side": "8"},
            r"points_per_side must .*, but is .8. \(that is text",
        ),
        ("fast", {"min_stability": 1.5}, r"min_stability must be .* from 0 to 1 or null, but is"),
    ],
)
def test_what_cannot_be_used_is_named(preset: str, user: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parameters_for(preset, user)


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["mine"] = AutomaticParameters()  # type: ignore[index]
    with pytest.raises(ValidationError, match="frozen"):
        PRESETS["fast"].nms_iou = 0.1  # type: ignore[misc]


def test_every_parameter_explains_itself() -> None:
    assert all(field.description for field in AutomaticParameters.model_fields.values())

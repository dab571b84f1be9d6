"""Named settings of the automatic stage, and who has the last word on the two thresholds.

What the user sets wins, else the preset's (`sa1b`: the paper's, always), else those that the
checkpoint recommends, else the paper's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from model.errors import ConfigurationError
from stages.allowed_values import sentence
from stages.parameters import (
    PAPER_MIN_PREDICTED_IOU,
    PAPER_MIN_STABILITY,
    AutomaticParameters,
)

PRESETS: Final[Mapping[str, AutomaticParameters]] = MappingProxyType(
    {
        "default": AutomaticParameters(),
        "fast": AutomaticParameters(points_per_side=16),
        "sa1b": AutomaticParameters(
            crop_layers=2,
            min_predicted_iou=PAPER_MIN_PREDICTED_IOU,
            min_stability=PAPER_MIN_STABILITY,
        ),
    }
)


@dataclass(frozen=True)
class ResolvedThresholds:
    """The thresholds a run uses, and a sentence on each that says why."""

    predicted_iou: float
    stability: float
    reasons: tuple[str, ...]


def preset(name: str) -> AutomaticParameters:
    """Raises ConfigurationError, naming what there is, if no preset is called so."""
    if name not in PRESETS:
        raise ConfigurationError(
            f"no preset is called {name!r}; there are {', '.join(sorted(PRESETS))}"
            f"{_did_you_mean(name, PRESETS)}"
        )
    return PRESETS[name]


def resolve_thresholds(
    preset_name: str,
    user: Mapping[str, Any],
    recommended: Mapping[str, float] | None = None,
) -> ResolvedThresholds:
    """Decides on both thresholds.

    Args:
        preset_name: a key of `PRESETS`.
        user: the user's own settings, by the names of `AutomaticParameters`.
        recommended: the checkpoint's `predicted_iou` and `stability`, where its card has them.

    Raises:
        ConfigurationError: if there is no such preset.
    """
    settings = preset(preset_name)
    advice = recommended or {}
    iou, iou_from = _first(
        (user.get("min_predicted_iou"), "set by the user"),
        (settings.min_predicted_iou, f"preset {preset_name}"),
        (advice.get("predicted_iou"), "recommended by the checkpoint"),
        (PAPER_MIN_PREDICTED_IOU, "the paper's; the checkpoint recommends none"),
    )
    stability, stability_from = _first(
        (user.get("min_stability"), "set by the user"),
        (settings.min_stability, f"preset {preset_name}"),
        (advice.get("stability"), "recommended by the checkpoint"),
        (PAPER_MIN_STABILITY, "the paper's; the checkpoint recommends none"),
    )
    reasons = (
        f"predicted IoU of at least {iou:g}: {iou_from}",
        f"stability of at least {stability:g}: {stability_from}",
    )
    return ResolvedThresholds(iou, stability, reasons)


def parameters_for(
    preset_name: str,
    user: Mapping[str, Any],
    recommended: Mapping[str, float] | None = None,
) -> tuple[AutomaticParameters, ResolvedThresholds]:
    """A preset with the user's settings on top and both thresholds settled.

    Raises:
        ConfigurationError: on an unknown preset or setting, or a value out of range.
    """
    base = preset(preset_name).model_dump()
    _check_names(user, base)
    try:
        checked = AutomaticParameters(**(base | dict(user)))
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from error
    thresholds = resolve_thresholds(preset_name, user, recommended)
    final = checked.model_copy(
        update={
            "min_predicted_iou": thresholds.predicted_iou,
            "min_stability": thresholds.stability,
        }
    )
    return final, thresholds


def _first(*choices: tuple[float | None, str]) -> tuple[float, str]:
    return next((float(value), why) for value, why in choices if value is not None)


def _check_names(user: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in user:
        if name not in known:
            raise ConfigurationError(
                f"the automatic stage has no setting {name!r}{_did_you_mean(name, known)}; "
                f"it has {', '.join(known)}"
            )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _describe(error: ValidationError) -> str:
    problems = [sentence(detail, AutomaticParameters) for detail in error.errors(include_url=False)]
    return "settings of the automatic stage cannot be used: " + "; ".join(problems)

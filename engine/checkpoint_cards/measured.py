"""The part of a checkpoint's card that commands left: training runs' folders, and evaluations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from engine.training.claim import CONFIGURATION_NAME
from engine.training.journal import read_log
from model.card_entries import Result, TrainingRun
from model.errors import ConfigurationError

_BY_KEY: Final = ("miou", "oracle_miou", "noc", "average_recall")
_PLAIN: Final = (
    "closed_share",
    "iou_correlation",
    "iou_correlation_first_click",
    "stability_correlation",
    "stability_correlation_first_click",
)
_SECONDS_AN_HOUR: Final = 3600


def read_run(option: str) -> TrainingRun:
    """`CONFIGURATION=FOLDER` of a training run, to what was done in it so far.

    Raises:
        ConfigurationError: another form, or no such run.
    """
    name, folder = _named(option, "--run", "configs/train-mine.yaml=runs/mine")
    configuration = _json(folder / CONFIGURATION_NAME, "a training run's configuration")
    lines = read_log(folder)
    if not lines:
        raise ConfigurationError(f"{folder}: its log has no figures yet, so nothing can be told")
    done, seconds = 0, 0.0
    for line in lines:
        seconds += line["seconds_per_step"] * (line["step"] - done)
        done = int(line["step"])
    try:
        data, loop = configuration["data"], configuration["session"]["loop"]
        pictures = done * data["images_per_step"] * loop["accumulate"]
        side_px = int(data["side_px"])
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{folder / CONFIGURATION_NAME}: no training run's configuration ({error!r} is missing)"
        ) from None
    hours = round(seconds / _SECONDS_AN_HOUR, 2)
    return TrainingRun(
        configuration=name, steps=done, pictures=int(pictures), side_px=side_px, hours=hours
    )


def read_result(option: str, model_id: str) -> Result:
    """`NAME=FILE` of what `evaluate --json` wrote about this model.

    Raises:
        ConfigurationError: another form, no such file, or another model's figures.
    """
    name, path = _named(option, "--evaluation", '"everyday photos=coco.json"')
    found = _json(path, "what `mask-engine evaluate --json` writes")
    if found.get("model_id") != model_id:
        raise ConfigurationError(
            f"{path} is about model {found.get('model_id')}, and the checkpoint is {model_id}: "
            "evaluate this one"
        )
    try:
        figures = {
            f"{measure}_{key}": float(value)
            for measure in _BY_KEY
            for key, value in found.get(measure, {}).items()
        }
        figures |= {measure: float(found[measure]) for measure in _PLAIN if measure in found}
        baselines = {b: float(v["miou"]["1"]) for b, v in found.get("baselines", {}).items()}
        return Result(name, int(found["n_masks"]), figures, baselines)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{path}: not what `evaluate --json` writes ({error!r})") from None


def _named(option: str, name: str, example: str) -> tuple[str, Path]:
    label, equals, path = option.partition("=")
    if not (label and equals and path):
        raise ConfigurationError(f"{name} {option!r}: expected a name and a path, as {example}")
    return label, Path(path)


def _json(path: Path, expected: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}): expected {expected}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: expected {expected}")
    return found

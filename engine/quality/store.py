"""Stores calibrated thresholds where they belong: in the checkpoint's card."""

from __future__ import annotations

from pathlib import Path

from engine.quality.calibrate import Calibrated
from model.checkpoint_card import PRECISION_METRIC, CheckpointCard
from model.errors import ConfigurationError
from pipelines.manifest import read_manifest
from pipelines.storage import Folder


def require_checkpoint_of(run: str, checkpoint: Path) -> CheckpointCard:
    """The card of the checkpoint that made a run's masks, once thresholds can be stored in it.

    Raises:
        ConfigurationError: if there is no run, or another model made its masks.
        CheckpointError: if the file is missing, broken, foreign or read-only.
    """
    from model.checkpoints import changeable_checkpoint, read_card

    card = read_card(changeable_checkpoint(checkpoint))
    manifest = read_manifest(Folder(run))
    if manifest is None:
        raise ConfigurationError(
            f"{run}: there is no run. Give the folder that `mask-engine auto --out` wrote."
        )
    made_by = manifest.configuration.get("model_id")
    if made_by != card.model_id:
        raise ConfigurationError(
            f"{run}: its masks are of model {made_by}, and {checkpoint} is {card.model_id}. "
            "Thresholds hold for one model: propose with this checkpoint first."
        )
    return card


def store_thresholds(checkpoint: Path, run: str, found: Calibrated) -> None:
    """Writes thresholds and the precision they were chosen for; the weights stay.

    Raises:
        ConfigurationError: if another model made the run's masks.
        CheckpointError: if the file is missing, broken, foreign or read-only.
    """
    from model.checkpoints import update_card

    card = require_checkpoint_of(run, checkpoint)
    metrics = {**card.metrics, PRECISION_METRIC: round(found.precision, 4)}
    update_card(checkpoint, thresholds=found.thresholds, metrics=metrics)

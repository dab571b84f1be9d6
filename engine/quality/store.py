"""Stores calibrated thresholds where they belong: in the checkpoint's card."""

from __future__ import annotations

from pathlib import Path

from engine.quality.calibrate import Calibrated
from model.errors import ConfigurationError
from pipelines.manifest import read_manifest
from pipelines.storage import Folder


def store_thresholds(checkpoint: Path, run: str, found: Calibrated) -> None:
    """Writes thresholds and the precision they were chosen for; the weights stay.

    Raises:
        ConfigurationError: if another model made the run's masks.
        CheckpointError: if the file is missing, broken or foreign.
    """
    from model.checkpoints import read_card, update_card

    card = read_card(checkpoint)
    manifest = read_manifest(Folder(run))
    made_by = None if manifest is None else manifest.configuration.get("model_id")
    if made_by != card.model_id:
        raise ConfigurationError(
            f"{run}: its masks are of model {made_by}, and {checkpoint} is {card.model_id}. "
            "Thresholds hold for one model: propose with this checkpoint first."
        )
    metrics = {**card.metrics, "calibrated_precision": round(found.precision, 4)}
    update_card(checkpoint, thresholds=found.thresholds, metrics=metrics)

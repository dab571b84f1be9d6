"""Fills a saved checkpoint's card; its weights, and so its id, stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.checkpoint_cards.measured import read_result, read_run
from engine.checkpoint_cards.written import WrittenCard, changes_of, read_written
from model.checkpoint_card import PRECISION_METRIC, CheckpointCard
from model.errors import ConfigurationError


def fill_card(
    checkpoint: str, text: str | None, runs: Sequence[str], evaluations: Sequence[str]
) -> CheckpointCard:
    """Reads everything that is given before the file is touched.

    Args:
        checkpoint: a file of this project, or `starter`.
        text: what people wrote, a YAML file.
        runs: `CONFIGURATION=FOLDER` each, in the order they were run, after those of `text`.
        evaluations: `NAME=FILE` each.

    Raises:
        ConfigurationError: nothing is given, or something that is given cannot be used.
        CheckpointError: the checkpoint is missing, broken or foreign.
    """
    from model.checkpoints import read_card, update_card

    if not (text or runs or evaluations):
        raise ConfigurationError("nothing to say: give --text, --run or --evaluation")
    changes: dict[str, Any] = changes_of(read_written(text) if text else WrittenCard())
    if runs:
        before = changes.get("recipe", ())
        changes["recipe"] = (*before, *(read_run(option) for option in runs))
    card = read_card(checkpoint)
    if evaluations:
        changes["results"] = tuple(read_result(option, card.model_id) for option in evaluations)
    if changes.get("thresholds", card.thresholds) != card.thresholds:
        # A calibration's precision is that of its own thresholds.
        kept = {name: value for name, value in card.metrics.items() if name != PRECISION_METRIC}
        changes["metrics"] = kept
    return update_card(checkpoint, **changes)

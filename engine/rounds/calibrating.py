"""Thresholds of automatic masks for a model that was just promoted, from photos that are known.

A model whose scores have shifted keeps other masks at the same thresholds; so each promoted one
gets its own. They stand in its checkpoint, and what they rest on stands in the ledger.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from engine.console import progress
from engine.evaluation.truth import TruthPhoto
from engine.quality.calibrate import Calibrated, CalibrationParameters, calibrate
from engine.quality.pairs import pairs_with_truth
from engine.quality.store import store_thresholds
from engine.rounds.context import Context
from engine.rounds.entries import Outcome
from engine.rounds.held_out import photos_to_calibrate_on
from model.errors import ConfigurationError
from pipelines.automatic import run_automatic
from pipelines.progress import Progress
from pipelines.run_config import AutomaticRun
from pipelines.sources import source_address
from pipelines.storage import is_local
from stages import ids
from stages.records import ImageRef

RUN: Final = "calibration"
SOURCE_NAME: Final = "held-out"


def calibrate_step(context: Context) -> Outcome:
    """Calibrates the promoted model; without a promotion, or if it is switched off, nothing.

    Thresholds that cannot be found stop nobody: the model keeps those of the one before.
    """
    promoted, asked = context.needed("promote"), context.settings.calibration
    if asked is None:
        return Outcome(model_id=promoted.model_id, reason="calibration is switched off")
    if not promoted.outputs:
        return Outcome(model_id=promoted.model_id, reason="nothing was promoted: thresholds stay")
    checkpoint = promoted.outputs["checkpoint"]
    known = photos_to_calibrate_on(context.settings, asked.photos)
    masks = _propose(context, checkpoint, known, asked)
    run = context.place(RUN)
    counts: dict[str, float] = {"photos": len(known), "masks": masks}
    by_address = {str(photo.path): photo for photo in known}
    pairs = list(pairs_with_truth(context.address(run), by_address))
    try:
        found = calibrate(pairs, precision=asked.precision, right_iou=asked.right_iou)
    except ConfigurationError as error:
        reason = f"thresholds stay as they were: {error}"
        return Outcome(
            outputs={"run": run}, counts=counts, model_id=promoted.model_id, reason=reason
        )
    _store(context, checkpoint, run, found)
    return Outcome(
        inputs={"checkpoint": checkpoint, "truth": context.settings.held_out.truth},
        outputs={"run": run, "checkpoint": checkpoint},
        counts=counts | {"kept": found.kept},
        figures=asdict(found.thresholds)
        | {
            "precision": round(found.precision, 5),
            "precision_before": round(found.precision_before, 5),
            "right_kept": round(found.right_kept, 5),
        },
        model_id=promoted.model_id,
        reason=_told(found),
    )


def _propose(
    context: Context, checkpoint: str, known: list[TruthPhoto], asked: CalibrationParameters
) -> int:
    """Masks at low thresholds; gives their number."""
    paths = sorted(str(photo.path) for photo in known)
    photos = [ImageRef(ids.image_id(SOURCE_NAME, p), SOURCE_NAME, p, p) for p in paths]
    run = AutomaticRun(
        source=source_address(str(known[0].path.parent)),
        source_name=SOURCE_NAME,
        out=context.address(context.place(RUN)),
        checkpoint=str(context.checkpoint_file(checkpoint)),
        preset=asked.preset,
        parameters=asked.lowest() | asked.parameters,
        limits=context.settings.pool.limits,
        threads=context.threads,
        device=context.settings.device,
        round=context.number,
    )
    with progress("masks", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        stand_in = context.stand_in(checkpoint)
        return run_automatic(run, photos=photos, segmenter=stand_in, progress=tell).masks


def _store(context: Context, checkpoint: str, run: str, found: Calibrated) -> None:
    """Into the checkpoint's card; stand-ins have none."""
    if context.tools.segmenter is not None:
        return
    path = context.checkpoint_file(checkpoint)
    store_thresholds(path, context.address(run), found)
    if not is_local(context.folder.filesystem):
        context.folder.write(checkpoint, path.read_bytes())


def _told(found: Calibrated) -> str:
    return (
        f"predicted IoU of at least {found.thresholds.predicted_iou:g} and stability of at least "
        f"{found.thresholds.stability:g} give a precision of {found.precision:.0%} "
        f"({found.precision_before:.0%} before) and keep {found.right_kept:.0%} of the right masks"
    )

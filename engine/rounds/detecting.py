"""Semi-automatic proposals by a detector that the rounds before have taught."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.configuration import build
from engine.console import progress
from engine.rounds.context import Context
from engine.rounds.round_settings import Detecting
from engine.semi.settings import SemiRun
from model.errors import StopError
from pipelines.progress import Progress
from pipelines.storage import is_local
from pipelines.summary import Summary
from stages.records import ImageRef


def propose_with_detector(context: Context, photos: Sequence[ImageRef]) -> tuple[str, Summary]:
    """Trains a detector for the model in use, and proposes from its boxes.

    A detector reads the embeddings of one model, so every round has its own: a promotion makes
    the one before useless by its model's id.

    Returns:
        The run of proposals, and its summary.

    Raises:
        StopError: if no round before has masks to learn from.
    """
    from engine.semi.proposing import load_model, propose

    learned_from = context.ledger.last("build", before=context.number)
    own = context.its.detector
    if learned_from is None or own is None:
        raise StopError(
            f"round {context.number}: a detector learns from the masks of rounds before, and there "
            "are none. Nothing was written to the ledger; begin with an assisted_manual round, or "
            "leave `detector` out."
        )
    pool = context.settings.pool
    semi = {
        "source": context.settings.under_root(pool.source),
        "source_name": pool.name,
        "out": context.address(context.place("detected")),
        "project": "round",
        "detector": str(_trained(context, learned_from.outputs["train"], own)),
        "parameters": own.parameters.model_dump(),
        "limits": pool.limits.model_dump(),
        "round": context.number,
    }
    run = build(SemiRun, [_common(context) | semi], origin="detector")
    with progress("proposing", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        summary = propose(run, lambda: load_model(run), photos=photos, progress=tell)
    return f"{context.place('detected')}/proposals", summary


def _trained(context: Context, data: str, own: Detecting) -> Path:
    """The round's detector as a local file; trained once, and kept in the engine's folder."""
    from engine.detection.settings import DetectorRun
    from engine.detection.train import DETECTOR_NAME, train_detector

    name = context.place(f"detector/{DETECTOR_NAME}")
    if not context.folder.exists(name):
        is_here = is_local(context.folder.filesystem)
        path = str(context.local(data)) if is_here else context.address(data)
        training = {
            "sources": [{"kind": "shards", "name": "rounds", "path": path}],
            "out": str(context.local(context.place("detector"))),
            "schedule": own.schedule.model_dump(),
        }
        with progress("detector", "photos or steps") as meter:
            trained = train_detector(
                build(DetectorRun, [_common(context) | training], origin="detector"),
                told=lambda step, done, total: meter(done, total, step),
            )
        context.keep_file(trained.path, name)
    return context.checkpoint_file(name)


def _common(context: Context) -> dict[str, Any]:
    return {
        "checkpoint": str(context.checkpoint_file(context.current().outputs["checkpoint"])),
        "threads": context.threads,
        "device": context.settings.device,
    }

"""Semi-automatic proposals by a detector that the rounds before have taught."""

from __future__ import annotations

from collections.abc import Sequence

from engine.console import progress
from engine.rounds.context import Context
from engine.semi.settings import SemiRun
from model.errors import StopError
from pipelines.progress import Progress
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
    from engine.configuration import build
    from engine.detection.settings import DetectorRun
    from engine.detection.train import train_detector
    from engine.semi.proposing import load_model, propose

    learned_from = context.ledger.last("build", before=context.number)
    if learned_from is None or context.its.detector is None:
        raise StopError(
            f"round {context.number}: a detector learns from the masks of rounds before, and there "
            "are none. Nothing was written to the ledger; begin with an assisted_manual round, or "
            "leave `detector` out."
        )
    checkpoint = str(context.checkpoint_file(context.current().outputs["checkpoint"]))
    common = {
        "checkpoint": checkpoint,
        "threads": context.threads,
        "device": context.settings.device,
    }
    data = context.local(learned_from.outputs["train"])
    training = {
        "sources": [{"kind": "shards", "name": "rounds", "path": str(data)}],
        "out": str(context.local(context.place("detector"))),
        "schedule": context.its.detector.schedule.model_dump(),
    }
    with progress("detector", "photos or steps") as meter:
        trained = train_detector(
            build(DetectorRun, [common | training], origin="detector"),
            told=lambda step, done, total: meter(done, total, step),
        )
    pool = context.settings.pool
    semi = {
        "source": context.settings.under_root(pool.source),
        "source_name": pool.name,
        "out": context.address(context.place("detected")),
        "project": "round",
        "detector": str(trained.path),
        "parameters": context.its.detector.parameters.model_dump(),
        "limits": pool.limits.model_dump(),
        "round": context.number,
    }
    run = build(SemiRun, [common | semi], origin="detector")
    with progress("proposing", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        summary = propose(run, lambda: load_model(run), photos=photos, progress=tell)
    return f"{context.place('detected')}/proposals", summary

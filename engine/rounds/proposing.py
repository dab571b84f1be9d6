"""The model's own masks of a round's photos: what people are shown, or all there will be."""

from __future__ import annotations

from collections.abc import Sequence

from engine.console import progress
from engine.rounds.context import Context
from engine.rounds.detecting import propose_with_detector
from engine.rounds.entries import Outcome
from pipelines.automatic import run_automatic
from pipelines.progress import Progress
from pipelines.run_config import AutomaticRun
from pipelines.summary import Summary
from stages.records import ImageRef


def propose_step(context: Context) -> Outcome:
    """Automatic masks for stages that begin with them; assisted-manual begins with none.

    Raises:
        StopError: if all photos of the round were taken out.
    """
    if context.its.stage == "assisted_manual":
        return Outcome(reason="people begin with an empty photo in this stage")
    photos = context.photos_of(context.number)
    if context.its.detector is not None:
        name, summary = propose_with_detector(context, photos)
    else:
        name = context.place("proposed")
        summary = propose(context, photos, name)
    current = context.current()
    return Outcome(
        inputs={
            "photos": context.needed("plan").outputs["photos"],
            "checkpoint": current.outputs["checkpoint"],
        },
        outputs={"run": name},
        counts={"photos": summary.images, "masks": summary.masks, "failed": summary.failed},
        model_id=current.model_id,
    )


def propose(
    context: Context, photos: Sequence[ImageRef], name: str, *, checkpoint: str | None = None
) -> Summary:
    """Runs the automatic stage over some photos.

    Args:
        context: of the round.
        photos: sorted by path.
        name: of the run's folder in the engine's.
        checkpoint: of the engine's folder; the current one if None.
    """
    settings, its = context.settings, context.its
    used = checkpoint or context.current().outputs["checkpoint"]
    run = AutomaticRun(
        source=settings.under_root(settings.pool.source),
        source_name=settings.pool.name,
        out=context.address(name),
        checkpoint=str(context.checkpoint_file(used)),
        preset=its.proposing.preset,
        parameters=its.proposing.parameters,
        limits=settings.pool.limits,
        workers=its.proposing.workers,
        threads=context.threads,
        device=settings.device,
        round=context.number,
    )
    with progress("masks", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        return run_automatic(run, photos=photos, segmenter=context.stand_in(used), progress=tell)

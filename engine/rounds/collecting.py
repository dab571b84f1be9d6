"""People's part of a round: a simulated annotator at once, or Label Studio with a wait.

A stage kind is a function here. What they share: photos in, a run of rows out, nothing if nobody
confirmed a mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.console import progress
from engine.evaluation.truth import TruthPhoto, read_truth
from engine.rounds.context import Context
from engine.rounds.entries import Outcome
from engine.rounds.round_settings import RoundSettings
from engine.simulation.answers import DirectAnswers
from engine.simulation.photo_work import work_on_photo
from engine.simulation.run import check_sizes
from model.errors import ConfigurationError, RecordError, StopError
from model.segmenter import PromptableSegmenter
from pipelines.imported import write_imported_run
from pipelines.progress import Progress
from pipelines.reading import read_photo
from pipelines.shards import read_rows
from pipelines.sources import source_address
from pipelines.storage import open_filesystem
from stages import ids
from stages.joining import PEOPLES_ORIGINS
from stages.photos import decode_photo
from stages.records import AUTOMATIC, ErrorRecord, ImageRef, ImageRow, MaskRecord

RUN: Final = "collected"


def collect(context: Context) -> Outcome:
    """What people confirmed of this round's photos.

    Raises:
        WaitingForPeopleError: if they have not finished.
        StopError: if nobody confirmed a mask, or all photos of the round were taken out.
    """
    if context.its.stage == AUTOMATIC:
        return Outcome(reason="nobody is asked in this stage")
    photos = context.photos_of(context.number)
    _ask(context, photos)
    counts = effort(context.address(context.place(RUN)))
    if not counts["masks"]:
        raise StopError(
            f"round {context.number}: nobody confirmed a mask in its {len(photos)} photos, so "
            "there is nothing to learn from. Nothing was written to the ledger; see what people "
            f"did with `mask-engine report {context.address(context.place(RUN))}`, and if it is "
            f"as it should be, take the round out or roll it back (mask-engine rollback "
            f"{context.number})."
        )
    current = context.current()
    return Outcome(
        inputs={
            "photos": context.needed("plan").outputs["photos"],
            "checkpoint": current.outputs["checkpoint"],
        },
        outputs={"run": context.place(RUN)},
        counts=counts,
        model_id=current.model_id,
    )


def _ask(context: Context, photos: Sequence[ImageRef]) -> None:
    people = context.settings.people
    if people.kind == "simulated" and people.through == "model":
        simulate(context, photos, RUN)
        return
    try:
        from engine.rounds.in_label_studio import (
            collect_from_label_studio,
            simulate_in_label_studio,
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"people work in Label Studio, which needs {error.name}: "
            "pip install 'mask-engine[label-studio,serve]'"
        ) from None
    if people.kind == "label_studio":
        collect_from_label_studio(context, photos, RUN)
    else:
        simulate_in_label_studio(context, photos, RUN)


def simulate(
    context: Context,
    photos: Sequence[ImageRef],
    name: str,
    *,
    model: PromptableSegmenter | None = None,
) -> None:
    """A simulated annotator goes through the photos with a model.

    Args:
        context: of the round.
        photos: sorted by path.
        name: of the run's folder in the round's.
        model: that answers clicks; the current one if None.
    """
    settings = context.settings
    people, pool = settings.people, settings.pool
    truth = Path(settings.under_root(people.truth or ""))
    source = settings.under_root(pool.source)
    known = known_photos(truth, source)
    unknown = [photo.path for photo in photos if photo.uri not in known]
    if unknown:
        raise ConfigurationError(
            f"{truth}: knows no mask of {len(unknown)} of the round's photos, {unknown[0]} for "
            "one: a simulated annotator needs the truth of every photo of the pool"
        )
    segmenter = model or context.load(context.current().outputs["checkpoint"])
    annotator = _Annotator(
        DirectAnswers(segmenter), known, _shown(context), context.its, context.number, context
    )
    with progress("annotating", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        write_imported_run(
            context.address(context.place(name)),
            photos,
            annotator.row,
            source=source_address(source),
            configuration={
                "stage": context.its.stage,
                "truth": ids.digest(truth.read_text(encoding="utf-8")),
                "annotator": people.annotator.model_dump(mode="json"),
                "objects_per_photo": context.its.objects_per_photo,
                "model_id": segmenter.model_id,
                "round": context.number,
            },
            progress=tell,
        )


def known_photos(truth: Path, source: str) -> Mapping[str, TruthPhoto]:
    """Photos with known masks by their address."""
    folder = Path(open_filesystem(source_address(source))[1])
    if not folder.is_dir():
        raise ConfigurationError(f"{source}: a simulated annotator needs a folder of photos")
    return {str(photo.path): photo for photo in read_truth(truth, folder, with_empty=True)}


def effort(run: str) -> dict[str, float]:
    """Counts of a run: photos, masks, and what they cost people."""
    counts = {"photos": 0.0, "masks": 0.0, "failed": 0.0, "untouched": 0.0, "clicks": 0.0}
    timed, seconds = 0, 0.0
    for row in read_rows(run, columns=["masks", "exhaustive"]):
        counts["photos"] += 1
        counts["failed"] += row.error is not None
        counts["masks"] += len(row.masks)
        for mask in row.masks:
            counts["clicks"] += mask.clicks or 0
            counts["untouched"] += mask.origin not in PEOPLES_ORIGINS
            if mask.seconds is not None:
                timed, seconds = timed + 1, seconds + mask.seconds
    if timed:
        counts |= {"seconds": round(seconds, 3), "timed_masks": timed}
    return counts


def _shown(context: Context) -> Mapping[str, Sequence[MaskRecord]]:
    """Masks that people see before they begin, by photo: those that the model is sure of."""
    done = context.ledger.find(context.number, "propose")
    if done is None or "run" not in done.outputs:
        return {}
    proposed = done.outputs["run"]
    limit = context.its.sure_predicted_iou
    return {
        row.ref.image_id: [mask for mask in row.masks if (mask.predicted_iou or 0.0) >= limit]
        for row in read_rows(context.address(proposed), columns=["masks"])
    }


class _Annotator:
    """Makes a photo's row by simulated work."""

    def __init__(
        self,
        view: DirectAnswers,
        known: Mapping[str, TruthPhoto],
        shown: Mapping[str, Sequence[MaskRecord]],
        its: RoundSettings,
        number: int,
        context: Context,
    ) -> None:
        self._view, self._known, self._shown = view, known, shown
        self._its, self._number = its, number
        self._parameters = context.settings.people.annotator
        self._limits = context.settings.pool.limits

    def row(self, ref: ImageRef) -> ImageRow:
        stage = self._its.stage
        known = self._known[ref.uri]
        try:
            photo = decode_photo(read_photo(ref.uri, self._limits), self._limits)
            check_sizes(known, photo)
        except RecordError as error:
            problem = ErrorRecord(error.kind, str(error))
            return ImageRow(ref, stage, round=self._number, error=problem)
        self._view.look_at(ref, photo)
        work = work_on_photo(
            ref,
            known,
            self._view,
            self._parameters,
            shown=self._shown.get(ref.image_id, ()),
            objects=self._its.objects_per_photo,
        )
        return ImageRow(
            ref,
            stage,
            width=photo.width,
            height=photo.height,
            sha256=photo.sha256,
            round=self._number,
            exhaustive=work.exhaustive or None,
            masks=work.masks,
            dropped=work.dropped,
        )

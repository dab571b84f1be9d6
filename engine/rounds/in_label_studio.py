"""A round's photos go to Label Studio: for people, for whom the engine waits, or simulated ones.

Needs the extras `label-studio` and `serve`, so it is imported where it is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from engine.assist.collecting import collect
from engine.assist.connection import Connection, connection_of
from engine.assist.sending import Sent, send
from engine.assist.settings import AssistRun
from engine.backend.server import build_backend, listen, serving
from engine.backend.settings import BackendSettings
from engine.configuration import build
from engine.console import progress
from engine.rounds.context import Context
from engine.rounds.people import AskedAgain, WaitingForPeopleError
from engine.semi.stage import prediction_of, prefilled_of
from engine.simulation.studio import annotate_tasks
from model.errors import StopError
from pipelines.row_lookup import RowLookup
from pipelines.storage import Folder
from stages.records import ImageRef, ImageRow

PROJECT: Final = "Round {number} of {engine}"


def collect_from_label_studio(context: Context, photos: Sequence[ImageRef], name: str) -> None:
    """Sends what is not sent yet, and collects what is finished.

    Raises:
        WaitingForPeopleError: until every photo is answered.
        ConfigurationError: if the server cannot be used.
    """
    run = _run_of(context, name, context.settings.people.label_studio)
    with connection_of(run.server, context.tools.connection) as connection:
        sent = _send(context, run, photos, connection)
        finished = _collect(context, run, connection)
    if finished < len(photos):
        raise WaitingForPeopleError(finished, len(photos), sent.url)


def simulate_in_label_studio(context: Context, photos: Sequence[ImageRef], name: str) -> None:
    """The same with a simulated annotator, who does the tasks at once.

    Its clicks are answered by a click backend with the model in use, as long as this lasts.

    Raises:
        ConfigurationError: if the server cannot be used.
        StopError: if it did not take every answer.
    """
    people = context.settings.people
    truth = Path(context.settings.under_root(people.truth or ""))
    with click_backend(context) as backend:
        run = _run_of(context, name, {**people.label_studio, "backend": backend})
        with (
            connection_of(run.server, context.tools.connection) as connection,
            progress("annotating", "tasks") as meter,
        ):
            sent = _send(context, run, photos, connection)
            worked = annotate_tasks(
                run,
                truth,
                people.annotator,
                connection,
                objects=context.its.objects_per_photo,
                told=lambda done, total: meter(done, total),
            )
            finished = _collect(context, run, connection)
    if finished < len(photos):
        why = "".join(f" {problem}." for problem in worked.problems[:3])
        raise StopError(
            f"round {context.number}: only {finished} of {len(photos)} tasks have an answer, see "
            f"{sent.url}.{why} Nothing was written to the ledger; run the same command again."
        )


@contextlib.contextmanager
def click_backend(context: Context) -> Iterator[dict[str, str]]:
    """A click backend with the model in use, at a free port; gives a run's `backend` settings."""
    checkpoint = context.current().outputs["checkpoint"]
    pool = context.settings.pool
    settings = BackendSettings(
        source=context.settings.under_root(pool.source),
        source_name=pool.name,
        checkpoint=str(context.checkpoint_file(checkpoint)),
        click_log=str(context.local(context.place("clicks"))),
        credentials=str(context.local("click-backend.json")),
        port=0,
        threads=context.threads,
        device=context.settings.device,
        limits=pool.limits,
    )
    with (
        listen(settings) as listening,
        serving(
            build_backend(settings, segmenter=context.stand_in(checkpoint)), listening
        ) as address,
    ):
        yield {
            "url": address,
            "credentials": str(settings.credentials),
            "click_log": settings.click_log,
        }


def _run_of(context: Context, name: str, theirs: Mapping[str, Any]) -> AssistRun:
    settings = context.settings
    engine = settings.out.rstrip("/").rsplit("/", 1)[-1]
    ours = {
        "source": settings.under_root(settings.pool.source),
        "source_name": settings.pool.name,
        "out": context.address(context.place(name)),
        "project": PROJECT.format(number=context.number, engine=engine)[:50],
        "round": context.number,
        "limits": settings.pool.limits.model_dump(),
    }
    kind = AssistRun if context.its.stage == "assisted_manual" else AskedAgain
    return build(kind, [ours, theirs], origin="people.label_studio")


def _send(
    context: Context, run: AssistRun, photos: Sequence[ImageRef], connection: Connection
) -> Sent:
    if not run.shows_outlines:
        return send(run, connection, photos=photos)
    shown = _shown(context)
    return send(run, connection, photos=photos, prefill=lambda ref: prediction_of(shown, ref))


def _collect(context: Context, run: AssistRun, connection: Connection) -> int:
    """Brings answers; gives how many photos have one."""
    if not run.shows_outlines:
        return collect(run, connection).finished
    shown = _shown(context)
    return collect(run, connection, prefilled_of=lambda ref: prefilled_of(shown, ref)).finished


def _shown(context: Context) -> _Sure:
    proposed = context.needed("propose").outputs["run"]
    return _Sure(Folder(context.address(proposed)), context.its.sure_predicted_iou)


@dataclass
class _Sure(RowLookup):
    """Rows of proposals with only those masks that the model is sure of."""

    least_predicted_iou: float = 0.0

    def get(self, image_id: str) -> ImageRow | None:
        """A photo's row, or None if it has none."""
        row = super().get(image_id)
        if row is None:
            return None
        sure = (m for m in row.masks if (m.predicted_iou or 0.0) >= self.least_predicted_iou)
        return replace(row, masks=tuple(sure))

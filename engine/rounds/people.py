"""Real people: a round's photos go to Label Studio, and the engine waits until they are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from pydantic import Field

from engine.assist.settings import AssistRun
from engine.configuration import build
from engine.rounds.context import Context
from engine.semi.settings import INSTRUCTIONS
from model.errors import StopError
from pipelines.row_lookup import RowLookup
from pipelines.storage import Folder
from stages.records import ImageRef, ImageRow
from stages.semi_automatic import SEMI_AUTOMATIC

PROJECT: Final = "Round {number} of {engine}"


class WaitingForPeopleError(StopError):
    """People have not finished; not a failure. Running again looks again, and goes on.

    Attributes:
        done, asked: photos.
        url: where they work.
    """

    def __init__(self, done: int, asked: int, url: str) -> None:
        super().__init__(
            f"waiting for people: {done} of {asked} photos are done; they work at {url}. Run the "
            "same command again when they have finished: it goes on from here"
        )
        self.done, self.asked, self.url = done, asked, url


class AskedAgain(AssistRun):
    """People's settings where tasks begin with masks that were found before."""

    stage: ClassVar[str] = SEMI_AUTOMATIC
    shows_outlines: ClassVar[bool] = True
    command: ClassVar[str] = "semi"

    instructions: str = Field(default=INSTRUCTIONS, description="What annotators read first.")


def collect_from_label_studio(context: Context, photos: Sequence[ImageRef], name: str) -> None:
    """Sends what is not sent yet, and collects what is finished.

    Raises:
        WaitingForPeopleError: until every photo is answered.
        ConfigurationError: if the server cannot be used.
    """
    from engine.assist.collecting import collect
    from engine.assist.connection import connection_of
    from engine.assist.sending import send
    from engine.semi.stage import prediction_of, prefilled_of

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
    run = build(kind, [ours, settings.people.label_studio], origin="people.label_studio")
    with connection_of(run.server, context.tools.connection) as connection:
        if kind is AssistRun:
            sent = send(run, connection, photos=photos)
            found = collect(run, connection)
        else:
            shown = _shown(context)
            sent = send(
                run, connection, photos=photos, prefill=lambda ref: prediction_of(shown, ref)
            )
            found = collect(run, connection, prefilled_of=lambda ref: prefilled_of(shown, ref))
    if found.finished < len(photos):
        raise WaitingForPeopleError(found.finished, len(photos), sent.url)


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

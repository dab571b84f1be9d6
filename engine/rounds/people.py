"""Real people: a round's photos go to Label Studio, and the engine waits until they are done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.configuration import build
from engine.rounds.context import Context
from model.errors import ConfigurationError, StopError
from stages.records import ImageRef

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


def collect_from_label_studio(context: Context, photos: Sequence[ImageRef], name: str) -> None:
    """Sends what is not sent yet, and collects what is finished.

    Raises:
        WaitingForPeopleError: until every photo is answered.
        ConfigurationError: if the stage cannot be done there.
    """
    from engine.assist.collecting import collect
    from engine.assist.connection import connected
    from engine.assist.sending import send
    from engine.assist.settings import AssistRun

    if context.its.stage != "assisted_manual":
        raise ConfigurationError(
            f"round {context.number}: semi_automatic rounds with real people are not wired into "
            "the engine yet; use people.kind simulated, or an assisted_manual round"
        )
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
    run = build(AssistRun, [ours, settings.people.label_studio], origin="people.label_studio")
    with connected(run.server) as connection:
        sent = send(run, connection, photos=photos)
        found = collect(run, connection)
    if found.finished < len(photos):
        raise WaitingForPeopleError(found.finished, len(photos), sent.url)

"""What the engine says while it waits for people, and what they are asked."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from engine.assist.settings import AssistRun
from engine.semi.settings import INSTRUCTIONS
from model.errors import StopError
from stages.semi_automatic import SEMI_AUTOMATIC

WAITING_FILE: Final = "waiting.json"


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

"""The line between whoever makes shards and whoever hands them out and counts.

A DoFn cannot be given a live connection (it is pickled, even in memory), so a process has one
current link, set around the pipeline it runs. Without one, as on a cluster's machine, nobody
listens and nothing is lost: what counts is in the shards and their sidecars.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from model.errors import MaskEngineError


@dataclass(frozen=True)
class ImageDone:
    """A photo became a row.

    Attributes:
        masks: how many it holds.
        error: the kind of error where it failed.
    """

    masks: int
    error: str | None = None


class WorkLink(Protocol):
    """What a maker of shards says, and asks."""

    def claim(self) -> int | None:
        """The next shard to make, or None when there is no more, or the run must stop."""
        ...

    def image_begun(self, path: str) -> None:
        """A photo is about to go through the model."""
        ...

    def image_done(self, done: ImageDone) -> None:
        """A photo became a row; raises StopError where the run must stop."""
        ...

    def shard_done(self, shard: int) -> None:
        """A shard is there."""
        ...

    def failed(self, error: MaskEngineError) -> bool:
        """The work cannot go on; True if whoever hands out shards knows now."""
        ...


class NobodyListens:
    """The link where there is none."""

    def claim(self) -> int | None:
        """Nothing to do: shards come as the pipeline's elements."""
        return None

    def image_begun(self, path: str) -> None:
        """Not heard."""

    def image_done(self, done: ImageDone) -> None:
        """Not heard."""

    def shard_done(self, shard: int) -> None:
        """Not heard."""

    def failed(self, error: MaskEngineError) -> bool:
        """Not heard: the error has to be raised."""
        return False


_current: WorkLink = NobodyListens()


def current_link() -> WorkLink:
    """This process's link."""
    return _current


@contextmanager
def linked(link: WorkLink) -> Iterator[None]:
    """Makes a link this process's own while the block runs."""
    global _current
    before, _current = _current, link
    try:
        yield
    finally:
        _current = before

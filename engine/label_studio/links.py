"""Links of the chain from the server to a click: what was found out about one, and its cure."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import MaskEngineError


@dataclass(frozen=True)
class Link:
    """One link of the chain, tried.

    Attributes:
        name: of the link.
        ok: whether it holds.
        says: what was found.
        cure: what to do where it does not hold.
        seconds: how long trying took.
    """

    name: str
    ok: bool
    says: str
    cure: str = ""
    seconds: float = 0.0


class BrokenLinkError(MaskEngineError):
    """A link that does not hold.

    Attributes:
        cure: what to do.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure

"""What is wrong with one request; it becomes that request's answer, and the service goes on."""

from __future__ import annotations

from model.errors import MaskEngineError


class RequestError(MaskEngineError):
    """A request that cannot be answered.

    Messages are sent back and logged, so they never hold what may be secret: no address with its
    query, no header, no value that was sent.

    Attributes:
        status: the HTTP status to answer with.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

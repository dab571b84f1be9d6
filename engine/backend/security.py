"""Who may ask, and how much they may send; checked before anything else is looked at."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
from collections.abc import AsyncIterator
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.backend.credentials import Credentials
from engine.backend.errors import RequestError
from engine.backend.labels import BELL_PATH

_REFUSAL: Final = "this service wants its user name and password (basic auth)"


class BasicAuth:
    """Answers 401 to every request without the right name and password.

    Args:
        app: what is behind it.
        credentials: the right ones; those of the bell open `BELL_PATH` alone.
    """

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, or answers it."""
        if scope["type"] == "http" and not self._is_known(scope["path"], Headers(scope=scope)):
            headers = {"WWW-Authenticate": 'Basic realm="mask-engine"'}
            refusal = JSONResponse({"error": _REFUSAL}, status_code=401, headers=headers)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_known(self, path: str, headers: Headers) -> bool:
        header = headers.get("authorization", "")
        if is_basic_auth(header, self._credentials):
            return True
        return path == BELL_PATH and is_basic_auth(header, self._credentials.of_the_bell)


def is_basic_auth(header: str, credentials: Credentials) -> bool:
    """Whether an `Authorization` header holds the right name and password."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = f"{credentials.user}:{credentials.password}".encode()
    return hmac.compare_digest(given, expected)


async def drop_body(request: Request, max_bytes: int) -> None:
    """Takes the body of a request that nobody looks at, and keeps none of it.

    Raises:
        RequestError: as soon as it is known to be longer than allowed.
    """
    _refuse_announced(request, max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise _too_long(max_bytes)


class BodyRoom:
    """Room for the bodies that are in memory at one time, of all requests together.

    Args:
        max_bytes: the most of one.
        together: the most of all.
    """

    def __init__(self, max_bytes: int, together: int) -> None:
        self._max_bytes = max_bytes
        self._left = together

    @contextlib.asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts as long as the block lasts.

        Raises:
            RequestError: as soon as it is known to be too long, or there is no room for it now.
        """
        _refuse_announced(request, self._max_bytes)
        chunks: list[bytes] = []
        received = 0
        try:
            async for chunk in request.stream():
                received += len(chunk)
                self._left -= len(chunk)
                if received > self._max_bytes:
                    raise _too_long(self._max_bytes)
                if self._left < 0:
                    raise RequestError(503, "too many long requests at once: try again")
                chunks.append(chunk)
            yield b"".join(chunks)
        finally:
            self._left += received


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request.

    Raises:
        RequestError: as soon as it is known to be longer than allowed.
    """
    _refuse_announced(request, max_bytes)
    chunks: list[bytes] = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise _too_long(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _refuse_announced(request: Request, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_long(max_bytes)


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(413, f"the request is longer than {max_bytes:,} bytes")

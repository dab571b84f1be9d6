"""The backend as an ASGI application: Label Studio's five addresses, and errors as answers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.backend.credentials import Credentials
from engine.backend.errors import RequestError
from engine.backend.labels import BELL_PATH
from engine.backend.security import BasicAuth, BodyRoom, drop_body
from engine.backend.service import ClickService

LOGGER = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 64 * 2**20
# Of the longest bodies, how many have room in memory at once; thousands of usual ones do.
LONG_BODIES: Final = 4
# Photos waiting to be embedded before anybody clicks; further ones wait for their first click.
_WAITING_AHEAD: Final = 32


class _Ahead:
    """One thread for work that nobody waits for, with a short queue."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._waiting = 0

    def __call__(self, work: Callable[[], None]) -> None:
        if self._waiting >= _WAITING_AHEAD:
            return
        self._waiting += 1
        self._pool.submit(self._run, work)

    def end(self) -> None:
        """Begins nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._waiting -= 1


class _Addresses:
    """What answers at each address."""

    def __init__(self, service: ClickService, max_body_bytes: int) -> None:
        self._service = service
        self._max_body_bytes = max_body_bytes
        self._room = BodyRoom(max_body_bytes, LONG_BODIES * max_body_bytes)
        self._ahead = _Ahead()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Ends with the service."""
        yield
        self._ahead.end()

    async def health(self, _request: Request) -> Response:
        """Says that the model is loaded."""
        return JSONResponse(
            {
                "status": "UP",
                "model_class": "mask-engine",
                "model_version": self._service.model_id,
            }
        )

    async def versions(self, _request: Request) -> Response:
        """Lists the one model there is."""
        return JSONResponse({"versions": [self._service.model_id]})

    async def setup(self, request: Request) -> Response:
        """Says which model answers; what is sent (a token among it) is not looked at."""
        await drop_body(request, self._max_body_bytes)
        return JSONResponse({"model_version": self._service.model_id})

    async def webhook(self, request: Request) -> Response:
        """Hears that somebody submitted, and leaves finding out to collecting."""
        await drop_body(request, self._max_body_bytes)
        await run_in_threadpool(self._service.ring)
        return JSONResponse({"status": "ok"})

    async def predict(self, request: Request) -> Response:
        """Answers prompts with a mask."""
        async with self._room.body(request) as body:
            answer = await run_in_threadpool(self._service.predict, body, later=self._ahead)
        return JSONResponse(answer)


def build_app(
    service: ClickService, credentials: Credentials, *, max_body_bytes: int = MAX_BODY_BYTES
) -> Starlette:
    """The application: every address behind basic auth."""
    at = _Addresses(service, max_body_bytes)
    return Starlette(
        routes=[
            Route("/health", at.health, methods=["GET"]),
            Route("/versions", at.versions, methods=["GET"]),
            Route("/setup", at.setup, methods=["POST"]),
            Route("/predict", at.predict, methods=["POST"]),
            Route(BELL_PATH, at.webhook, methods=["POST"]),
        ],
        middleware=[Middleware(BasicAuth, credentials=credentials)],
        exception_handlers=ERROR_ANSWERS,
        lifespan=at.lifespan,
    )


async def _request_error(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestError) else 500
    LOGGER.warning("answered %d: %s", status, error)
    return JSONResponse({"error": str(error)}, status_code=status)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)


async def _defect(request: Request, error: Exception) -> Response:
    """The border of one request: the service goes on. Nothing that was sent is repeated."""
    kind = type(error).__name__
    LOGGER.error("%s failed unexpectedly (%s)", request.url.path, kind)
    message = f"unexpected {kind}; the backend's own log says where"
    return JSONResponse({"error": message}, status_code=500)


# For any service of ours: what went wrong as a status and a sentence.
ERROR_ANSWERS: Final[Mapping[Any, Any]] = {
    RequestError: _request_error,
    ClientDisconnect: _gone,
    Exception: _defect,
}

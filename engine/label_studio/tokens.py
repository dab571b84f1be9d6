"""Both kinds of Label Studio token: who is asked for what, and when it has to be renewed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from typing import Final

import httpx

from engine.label_studio.errors import ServerRefusedError

TOKEN_VARIABLE: Final = "LABEL_STUDIO_API_KEY"
# The server's access tokens live 300 s.
_ACCESS_SECONDS: Final = 240.0


def token_from_environment() -> str | None:
    """The token that stands in `LABEL_STUDIO_API_KEY`, of either kind."""
    return os.environ.get(TOKEN_VARIABLE, "").strip() or None


def auth_for(token: str, server: httpx.URL) -> httpx.Auth:
    """How requests to a server prove who asks; requests to any other go out without.

    Args:
        token: a legacy token (40 hex digits), or a personal access token (a JWT: three parts
            with dots), which is exchanged for short-lived ones.
        server: the only one that may see it.
    """
    kind = PersonalToken if token.count(".") == 2 else LegacyToken
    return kind(token, server)


def same_origin(url: httpx.URL, server: httpx.URL) -> bool:
    """Whether an address is the server's own: protocol, host and port."""
    return (url.scheme, url.host, url.port) == (server.scheme, server.host, server.port)


class LegacyToken(httpx.Auth):
    """A token that is sent as it is."""

    def __init__(self, token: str, server: httpx.URL) -> None:
        self._header = f"Token {token}"
        self._server = server

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the header."""
        if same_origin(request.url, self._server):
            request.headers["Authorization"] = self._header
        yield request


class PersonalToken(httpx.Auth):
    """A personal access token: exchanged for an access token, again when that has run out."""

    requires_response_body = True

    def __init__(
        self, token: str, server: httpx.URL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._refresh = token
        self._server = server
        self._clock = clock
        self._access = ""
        self._made_at = float("-inf")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds a fresh access token; once more if the server thinks it is too old."""
        if not same_origin(request.url, self._server):
            yield request
            return
        if self._clock() - self._made_at > _ACCESS_SECONDS:
            yield from self._exchange()
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._exchange()
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _exchange(self) -> Generator[httpx.Request, httpx.Response, None]:
        address = f"{str(self._server).rstrip('/')}/api/token/refresh"
        response = yield httpx.Request("POST", address, json={"refresh": self._refresh})
        if response.is_server_error:
            response.raise_for_status()
        try:
            self._access = str(response.json()["access"])
        except (ValueError, KeyError, TypeError):
            raise ServerRefusedError(
                f"{str(self._server).rstrip('/')}: the personal access token was not accepted "
                f"(HTTP {response.status_code}). It may have run out or been withdrawn: make a new "
                "one under Account & Settings > Personal Access Token and put it into "
                f"{TOKEN_VARIABLE}."
            ) from None
        self._made_at = self._clock()

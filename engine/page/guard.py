"""Who may use the page, and what a browser may do with it; looked at before anything else.

A browser comes once with the token in its address and gets a cookie; programs may use basic auth.
Requests from other sites' pages are refused by the cookie's own rules (`SameSite=Strict`), and what
changes something by its origin too. Names that do not belong to this machine are refused, so that
no foreign name can be pointed here.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.backend.credentials import Credentials
from engine.backend.security import is_basic_auth

TOKEN: Final = "token"  # the query's name, no token
_READING: Final = frozenset({"GET", "HEAD"})
# Shared memory, which threads need, is given to isolated pages only; the rest keeps the page to
# its own files.
HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
        "img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; connect-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class PageGuard:
    """Lets the page's own requests pass.

    Args:
        app: what is behind it.
        credentials: their password is the token.
        hosts: names that the service is called by, beside those of this machine.
    """

    def __init__(self, app: ASGIApp, credentials: Credentials, hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._credentials = credentials
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, or answers it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _refused(421, f"this service is not called {host[:80]!r}")
        given = QueryParams(scope["query_string"]).get(TOKEN)
        if given is not None and scope["method"] == "GET":
            return self._welcome(scope, given)
        if not self._knows(headers, _port(host)):
            return _refused(401, "open the address that was printed when the page was started")
        if scope["method"] not in _READING and not _is_same_origin(headers, host):
            return _refused(403, "another page's request")
        return None

    def _welcome(self, scope: Scope, given: str) -> Response:
        """Takes the token out of the address and into a cookie."""
        if not hmac.compare_digest(given.encode(), self._credentials.password.encode()):
            return _refused(401, "this is not the token: open the address that was printed")
        answer = RedirectResponse(scope["path"], status_code=303)
        port = _port(Headers(scope=scope).get("host", ""))
        answer.set_cookie(
            _cookie_name(port), self._cookie(port), httponly=True, samesite="strict", path="/"
        )
        return answer

    def _knows(self, headers: Headers, port: str) -> bool:
        found = cookie_parser(headers.get("cookie", "")).get(_cookie_name(port), "")
        if hmac.compare_digest(found.encode(), self._cookie(port).encode()):
            return True
        return is_basic_auth(headers.get("authorization", ""), self._credentials)

    def _cookie(self, port: str) -> str:
        """Made from the token, which it does not tell."""
        key = self._credentials.password.encode()
        return hmac.new(key, f"page {port}".encode(), hashlib.sha256).hexdigest()

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name == "localhost" or name in self._hosts:
                return True
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _cookie_name(port: str) -> str:
    """Cookies know no ports: two services on one machine must not take each other's."""
    return f"mask-engine-{port}"


def _port(host: str) -> str:
    try:
        return str(urlsplit(f"//{host}").port or 80)
    except ValueError:
        return "80"


def _is_same_origin(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if origin is None:  # not a browser, or one that says so in another way
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc == host


def _refused(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status_code=status)


def _with_headers(send: Send) -> Send:
    async def _send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return _send

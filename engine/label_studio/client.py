"""The requests to Label Studio that this project needs, and no others.

Reading is tried again when the connection breaks or the server stumbles. Writing is not: the
server may have done it although the answer was lost, so callers look first and then go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

import httpx

from engine.label_studio.errors import ServerRefusedError, ServerUnavailableError
from engine.label_studio.tokens import TOKEN_VARIABLE, auth_for, same_origin
from model.errors import RecordError

Json = dict[str, Any]

TIMEOUT_SECONDS: Final = 60.0
TRIES: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.5
MOST_REDIRECTS: Final = 5
# The server loads whole tasks for a page; larger pages cost it gigabytes.
TASKS_A_PAGE: Final = 100
_PASSING: Final = frozenset({429, 500, 502, 503, 504})


class LabelStudio:
    """A Label Studio server, as one user sees it.

    Args:
        url: address of the server, without a path.
        token: of either kind.
        transport: for tests; the network by default.
        pause: waits a number of seconds between tries.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._pause = pause
        try:
            self._origin = httpx.URL(self.url)
            self._http = httpx.Client(
                base_url=self.url,
                auth=auth_for(token, self._origin),
                timeout=TIMEOUT_SECONDS,
                transport=transport,
                follow_redirects=False,
            )
            # Knows neither token nor cookies: for what lies on other servers.
            self._stranger = httpx.Client(timeout=TIMEOUT_SECONDS, transport=transport)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ServerRefusedError(f"{url}: is no address of a server ({error})") from None

    def __enter__(self) -> LabelStudio:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()
        self._stranger.close()

    def version(self) -> str:
        """The server's version, such as `1.23.2`; asked without the token, which may be wrong."""
        return str(self.get("/api/version", anonymous=True).get("release", "unknown"))

    def user(self) -> Json:
        """Who the token belongs to: `id`, `email`."""
        answer: Json = self.get("/api/current-user/whoami")
        return answer

    def projects(self) -> Iterator[Json]:
        """All projects: `id`, `title`, `description`."""
        yield from self._pages("/api/projects", {"include": "id,title,description"})

    def project(self, project: int) -> Json | None:
        """Everything about one project; None if there is no such project (any more)."""
        answer: Json | None = self.get(f"/api/projects/{project}", missing_is_fine=True)
        return answer

    def tasks(self, project: int, *, resolve: bool = False) -> Iterator[Json]:
        """All tasks of a project, page by page, without what people drew.

        Args:
            project: its id.
            resolve: whether addresses in a store become such that a browser can open.
        """
        params = {"project": project, "fields": "task_only", "resolve_uri": str(resolve).lower()}
        yield from self._pages("/api/tasks", params)

    def task(self, task: int) -> Json:
        """One task with every annotation, skipped ones too."""
        answer: Json = self.get(f"/api/tasks/{task}")
        return answer

    def find_task(self, task: int) -> Json | None:
        """As `task`, with addresses as they were sent; None if it is no more."""
        params = {"resolve_uri": "false"}
        answer: Json | None = self.get(f"/api/tasks/{task}", params, missing_is_fine=True)
        return answer

    def drafts(self, task: int) -> list[Json]:
        """What anybody began in a task and has not submitted."""
        answer: list[Json] = self.get(f"/api/tasks/{task}/drafts")
        return answer

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Adds tasks, once more each time it is called; see `assist.sending` for once only."""
        self.post(f"/api/projects/{project}/import", list(tasks))

    def fetch(self, address: str, *, most_bytes: int) -> bytes:
        """A file that the server shows, as a browser would get it; `s3://` is signed on the way.

        An address stands in a task, where anybody may have put it. Only the server itself learns
        who asks; once the way leads elsewhere, the rest of it is gone without a token.

        Args:
            address: as it stands in a task.
            most_bytes: what is longer is not read to its end.

        Raises:
            httpx.HTTPError: if it cannot be had.
            RecordError: if it is longer than that.
        """
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise httpx.UnsupportedProtocol(str(error)) from None
        client = self._http
        for _ in range(MOST_REDIRECTS + 1):
            if not (url.is_relative_url or same_origin(url, self._origin)):
                client = self._stranger
            with client.stream("GET", url) as response:
                if response.next_request is None:
                    response.raise_for_status()
                    return _read_up_to(response, most_bytes)
                url = response.next_request.url
        raise httpx.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        missing_is_fine: bool = False,
        anonymous: bool = False,
    ) -> Any:
        """Reads; tries again if that may help.

        Args:
            path: of the server.
            params: of the question.
            missing_is_fine: gives None for what is not there.
            anonymous: asks without the token.

        Raises:
            ServerRefusedError, ServerUnavailableError: as `request` does.
        """

        def ask() -> Any:
            return self.request(
                "GET", path, params=params, missing_is_fine=missing_is_fine, anonymous=anonymous
            )

        pause = FIRST_PAUSE_SECONDS
        for _ in range(TRIES - 1):
            try:
                return ask()
            except ServerUnavailableError:
                self._pause(pause)
                pause *= 3
        return ask()

    def post(self, path: str, content: Any) -> Any:
        """Makes something; never tried again by itself."""
        return self.request("POST", path, json=content)

    def patch(self, path: str, content: Any) -> Any:
        """Changes something; never tried again by itself."""
        return self.request("PATCH", path, json=content)

    def delete(self, path: str) -> None:
        """Removes something; that it is gone already is no error."""
        self.request("DELETE", path, missing_is_fine=True)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        missing_is_fine: bool = False,
        anonymous: bool = False,
    ) -> Any:
        """One request; the answer's JSON, or None where there is none.

        Raises:
            ServerRefusedError: if the server says no, in its own words where it has some.
            ServerUnavailableError: if it does not answer or stumbles.
        """
        try:
            auth = None if anonymous else httpx.USE_CLIENT_DEFAULT
            response = self._http.request(method, path, params=params, json=json, auth=auth)
        except httpx.TimeoutException as error:
            raise ServerUnavailableError(
                f"{self.url}: no answer to {method} {path} within {TIMEOUT_SECONDS:.0f} s "
                f"({type(error).__name__}). Run the same command again: it goes on from here."
            ) from error
        except httpx.HTTPError as error:
            raise ServerUnavailableError(
                f"{self.url}: cannot be reached ({error}). Is it running? `mask-engine "
                "label-studio status` says so of the local one. Then run the same command again."
            ) from error
        if missing_is_fine and response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._check(response, method, path)
        return self._json(response, path)

    def _check(self, response: httpx.Response, method: str, path: str) -> None:
        code = response.status_code
        if code in _PASSING:
            raise ServerUnavailableError(
                f"{self.url}: answered HTTP {code} to {method} {path}. Run the same command again; "
                "if it comes back, the server's own log says why."
            )
        if code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise ServerRefusedError(
                f"{self.url}: the token was not accepted for {method} {path} (HTTP {code}: "
                f"{_words_of(response)}). Put a valid one into {TOKEN_VARIABLE}: under Account & "
                "Settings, a personal access token, or a legacy token where those are switched on."
            )
        if not response.is_success:
            raise ServerRefusedError(
                f"{self.url}: refused {method} {path} (HTTP {code}: {_words_of(response)})"
            )

    def _json(self, response: httpx.Response, path: str) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise ServerRefusedError(
                f"{self.url}: answered {path} with something that is not JSON, so it is no Label "
                "Studio, or something stands between. Check the address."
            ) from None

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[Json]:
        """Items of a list that comes in pages: stops at the first page that is not full."""
        page = 1
        while True:
            answer = self.get(path, {**params, "page": page, "page_size": TASKS_A_PAGE})
            items = answer.get("results", answer.get("tasks")) if _is_page(answer) else answer
            yield from items
            total = answer.get("count", answer.get("total")) if _is_page(answer) else None
            if not items or total is None or page * TASKS_A_PAGE >= total:
                return
            page += 1


def _read_up_to(response: httpx.Response, most_bytes: int) -> bytes:
    data = bytearray()
    for part in response.iter_bytes():
        data += part
        if len(data) > most_bytes:
            raise RecordError(
                "too_many_bytes", f"the file is longer than {most_bytes:,} bytes, the limit"
            )
    return bytes(data)


def _is_page(answer: Any) -> bool:
    return isinstance(answer, dict)


def _words_of(response: httpx.Response) -> str:
    """What the server says is wrong, short."""
    try:
        content = response.json()
    except ValueError:
        return response.reason_phrase
    if not isinstance(content, dict):
        return str(content)[:300]
    wrong = content.get("validation_errors") or content.get("detail") or content
    return str(wrong)[:300]

"""Who gets to see a token: the server, and nobody that a task's address names."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from engine.label_studio.client import MOST_REDIRECTS, LabelStudio
from engine.label_studio.tokens import auth_for
from model.errors import RecordError

STUDIO = "http://studio.test:8080"
LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "head.body.signature"
NAME_ALONE = "Basic c3R1ZGlvLnRlc3Q6"  # of an address that begins with `studio.test@`
PHOTO = b"a photo's bytes"


class TwoHosts:
    """A Label Studio that hands out short-lived tokens, and somebody else's server."""

    def __init__(self) -> None:
        self.seen: dict[str, list[httpx.Request]] = {"studio.test": [], "elsewhere.test": []}
        self.foreign: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(
            200, content=PHOTO
        )

    def client(self, token: str) -> LabelStudio:
        return LabelStudio(STUDIO, token, transport=httpx.MockTransport(self._answer))

    def secrets_seen_elsewhere(self) -> list[str]:
        return [
            f"{request.headers} {request.content!r}"
            for request in self.seen["elsewhere.test"]
            if request.headers.get("authorization", NAME_ALONE) != NAME_ALONE or request.content
        ]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen[request.url.host].append(request)
        if request.url.host != "studio.test":
            return self.foreign(request)
        if request.url.path == "/api/token/refresh":
            return httpx.Response(200, json={"access": "short-lived"})
        if request.headers.get("Authorization") not in {f"Token {LEGACY}", "Bearer short-lived"}:
            return httpx.Response(401)
        if request.url.path == "/signed":
            return httpx.Response(302, headers={"Location": "https://elsewhere.test/photo?key=1"})
        return httpx.Response(200, content=PHOTO)


@pytest.fixture(params=[LEGACY, PERSONAL])
def token(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("address", ["/data/0.png", f"{STUDIO}/data/0.png"])
def test_the_servers_own_photos_are_asked_for_with_the_token(token: str, address: str) -> None:
    hosts = TwoHosts()
    with hosts.client(token) as studio:
        assert studio.fetch(address, most_bytes=100) == PHOTO
    assert "authorization" in hosts.seen["studio.test"][-1].headers


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.test/photo.png",
        "http://elsewhere.test:8080/photo.png",  # the same port
        "https://studio.test@elsewhere.test/photo.png",
        f"{STUDIO}/signed",  # as a presigned address of a bucket
        "/signed",
    ],
)
def test_no_other_host_sees_a_token_or_is_given_one_to_exchange(token: str, address: str) -> None:
    hosts = TwoHosts()
    with hosts.client(token) as studio:
        assert studio.fetch(address, most_bytes=100) == PHOTO
    assert hosts.seen["elsewhere.test"]
    assert hosts.secrets_seen_elsewhere() == []


def test_a_host_that_asks_who_we_are_is_told_nothing(token: str) -> None:
    hosts = TwoHosts()
    hosts.foreign = lambda request: httpx.Response(401)
    with hosts.client(token) as studio, pytest.raises(httpx.HTTPStatusError, match="401"):
        studio.fetch("https://elsewhere.test/photo.png", most_bytes=100)
    assert [request.url.path for request in hosts.seen["elsewhere.test"]] == ["/photo.png"]
    assert hosts.secrets_seen_elsewhere() == []


def test_a_host_cannot_send_us_back_to_the_server_with_a_token(token: str) -> None:
    hosts = TwoHosts()
    back = {"Location": f"{STUDIO}/api/projects/1/export"}
    hosts.foreign = lambda request: httpx.Response(302, headers=back)
    with hosts.client(token) as studio, pytest.raises(httpx.HTTPStatusError, match="401"):
        studio.fetch("https://elsewhere.test/photo.png", most_bytes=100)
    assert [r.headers.get("authorization") for r in hosts.seen["studio.test"]] == [None]


def test_the_credentials_themselves_know_their_server(token: str) -> None:
    hosts = TwoHosts()
    auth = auth_for(token, httpx.URL(STUDIO))
    with httpx.Client(auth=auth, transport=httpx.MockTransport(hosts._answer)) as client:
        client.get("https://elsewhere.test/photo.png")
        client.get("http://studio.test/another-port-is-another-server")
    assert hosts.secrets_seen_elsewhere() == []
    assert [r.headers.get("authorization") for r in hosts.seen["studio.test"]] == [None]


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    read = []

    def without_end(request: httpx.Request) -> httpx.Response:
        def parts():
            while True:
                read.append(1)
                yield b"x" * 1000

        return httpx.Response(200, content=parts())

    hosts = TwoHosts()
    hosts.foreign = without_end
    with (
        hosts.client(LEGACY) as studio,
        pytest.raises(RecordError, match="longer than 5,000 bytes, the limit"),
    ):
        studio.fetch("https://elsewhere.test/photo.png", most_bytes=5000)
    assert len(read) <= 7


def test_addresses_that_lead_nowhere_are_errors_of_fetching() -> None:
    hosts = TwoHosts()
    around = {"Location": "https://elsewhere.test/again"}
    hosts.foreign = lambda request: httpx.Response(302, headers=around)
    with hosts.client(LEGACY) as studio:
        with pytest.raises(httpx.TooManyRedirects, match=f"more than {MOST_REDIRECTS}"):
            studio.fetch("https://elsewhere.test/photo.png", most_bytes=100)
        with pytest.raises(httpx.UnsupportedProtocol):
            studio.fetch("http://elsewhere.test:port/", most_bytes=100)

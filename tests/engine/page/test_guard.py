"""Nobody without the token, no other site's page, no foreign name."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from engine.page.guard import PageGuard
from tests.engine.page.pages import CREDENTIALS, HOME, TOKEN


async def inside(_request):
    return PlainTextResponse("inside")


@pytest.fixture
def client():
    app = Starlette(
        routes=[Route("/", inside, methods=["GET", "POST"])],
        middleware=[Middleware(PageGuard, credentials=CREDENTIALS)],
    )
    return TestClient(app, base_url=HOME)


@pytest.fixture
def known(client):
    client.get("/", params={"token": TOKEN})
    return client


def test_without_a_token_nothing_is_told(client):
    answer = client.get("/")
    assert answer.status_code == 401
    assert answer.json() == {"error": "open the address that was printed when the page was started"}


def test_the_token_becomes_a_cookie_and_leaves_the_address(client):
    answer = client.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/").text == "inside"


def test_a_wrong_token_is_refused(client):
    assert client.get("/", params={"token": "guess"}).status_code == 401
    assert client.get("/").status_code == 401


def test_a_program_may_use_basic_auth(client):
    assert client.get("/", auth=(CREDENTIALS.user, TOKEN)).text == "inside"
    assert client.get("/", auth=(CREDENTIALS.user, "guess")).status_code == 401


def test_a_cookie_is_good_for_its_own_port_only(known):
    cookies = {name.replace("8765", "9999"): value for name, value in known.cookies.items()}
    other = TestClient(known.app, base_url="http://127.0.0.1:9999", cookies=cookies)
    assert other.get("/").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "169.254.1.1", "[bad"])
def test_a_foreign_name_is_refused_even_with_the_token(client, host):
    answer = client.get("/", params={"token": TOKEN}, headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1:8765", "[::1]:8765"])
def test_names_of_this_machine_are_served(client, host):
    answer = client.get("/", auth=(CREDENTIALS.user, TOKEN), headers={"host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_pages_request_changes_nothing(known, headers):
    assert known.post("/", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{"origin": HOME}, {"sec-fetch-site": "same-origin"}, {}])
def test_the_pages_own_requests_pass(known, headers):
    assert known.post("/", headers=headers).text == "inside"


def test_every_answer_keeps_the_page_isolated(client, known):
    for answer in (client.get("/"), known.get("/")):
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_proxys_name_is_served_where_it_was_said():
    app = Starlette(
        routes=[Route("/", inside)],
        middleware=[Middleware(PageGuard, credentials=CREDENTIALS, hosts=("masks.example.org",))],
    )
    client = TestClient(app, base_url="https://masks.example.org")
    assert client.get("/", params={"token": TOKEN}).text == "inside"

"""One real Label Studio for all tests that need it: its own folder, a free port, ended after."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.label_studio.client import LabelStudio
from engine.label_studio.home import HOME_VARIABLE, Credentials, Home
from engine.label_studio.installation import find_program
from engine.label_studio.server import start, stop
from engine.label_studio.tokens import TOKEN_VARIABLE


@dataclass
class RealStudio:
    """A running server.

    Attributes:
        home: its folder.
        program: Label Studio's own.
        port: on loopback; the same after a restart.
    """

    home: Home
    program: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> Credentials:
        return self.home.ensure_credentials()

    def client(self, token: str | None = None) -> LabelStudio:
        return LabelStudio(self.url, token or self.credentials.token)

    def start(self) -> None:
        start(self.home, self.program, port=self.port)

    def stop(self) -> None:
        stop(self.home)


@pytest.fixture(scope="session")
def real_studio(cannot_run, tmp_path_factory) -> Iterator[RealStudio]:
    """Started once a session (a minute or two: it makes its database), for every test."""
    home = Home(tmp_path_factory.mktemp("label-studio"))
    program = find_program(home)
    if program is None:
        cannot_run("no Label Studio here; `make test-all` installs one in .venv-label-studio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    studio = RealStudio(home, program, port)
    studio.start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(HOME_VARIABLE, str(home.folder))
        environment.delenv(TOKEN_VARIABLE, raising=False)
        yield studio
    studio.stop()


@pytest.fixture
def labelling(cannot_run, real_studio):
    """A browser at the real server, not yet logged in."""
    from tests.engine.labelling_page import LabellingPage, browser_page, find_browser

    program = find_browser()
    if program is None:
        cannot_run("no Chromium on this machine (apt-get install chromium)")
    with browser_page(program) as page:
        yield LabellingPage(page, real_studio.url, real_studio.credentials)

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model.errors import CheckpointError
from model.official import OFFICIAL_CHECKPOINTS, OfficialCheckpoint, fetch_checkpoint

CONTENT = bytes(range(256)) * 8192
FILE_NAME = "small.pth"


@dataclass
class Host:
    """A loopback server with one file that tests may tamper with."""

    address: str = ""
    content: bytes = CONTENT
    promised_bytes: int | None = None
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            if self.path != f"/{FILE_NAME}":
                self.send_error(404)
                return
            self.send_response(200)
            length = len(state.content) if state.promised_bytes is None else state.promised_bytes
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(state.content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MASK_ENGINE_CACHE", str(folder))
    entry = OfficialCheckpoint(
        "vit_b", FILE_NAME, len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
    )
    monkeypatch.setattr("model.official.OFFICIAL_CHECKPOINTS", {"small": entry})
    return folder


def test_a_file_is_fetched_whole_and_its_progress_told(host: Host, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    path = fetch_checkpoint("small", lambda *at: told.append(at), address=host.address)
    assert path == cache / FILE_NAME
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert list(cache.iterdir()) == [path]


def test_a_file_that_is_there_is_not_fetched_again(host: Host) -> None:
    fetch_checkpoint("small", address=host.address)
    fetch_checkpoint("small", address=host.address)
    assert len(host.requests) == 1


def test_half_a_file_of_earlier_is_replaced(host: Host, cache: Path) -> None:
    cache.mkdir()
    (cache / FILE_NAME).write_bytes(CONTENT[:100])
    assert fetch_checkpoint("small", address=host.address).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "promised_bytes", "message"),
    [
        (CONTENT[:-1] + b"!", None, "sha256 .*, expected .*: not the published file"),
        (CONTENT[:1000], None, "has 1,000 bytes, expected 2,097,152: the download was cut short"),
        (CONTENT[:1000], len(CONTENT), "cut short|cannot fetch"),
        (CONTENT + b"more", None, "has more than 2,097,152 bytes, expected 2,097,152"),
    ],
)
def test_what_is_not_the_published_file_is_not_kept(
    host: Host, cache: Path, content: bytes, promised_bytes: int | None, message: str
) -> None:
    host.content, host.promised_bytes = content, promised_bytes
    with pytest.raises(CheckpointError, match=message):
        fetch_checkpoint("small", address=host.address)
    assert list(cache.iterdir()) == []


def test_a_missing_file_says_where_to_put_one(host: Host, cache: Path) -> None:
    with pytest.raises(CheckpointError, match=f"HTTP Error 404.*put it at {cache / FILE_NAME}"):
        fetch_checkpoint("small", address=f"{host.address}/elsewhere")


def test_without_a_connection_the_error_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(CheckpointError, match=r"cannot fetch http://127\.0\.0\.1:9/small\.pth"):
        fetch_checkpoint("small", address="http://127.0.0.1:9")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match=r"cannot write to the cache .*MASK_ENGINE_CACHE"):
        fetch_checkpoint("small", address="http://127.0.0.1:9")


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match=r"no official checkpoint is called 'big'.*small"):
        fetch_checkpoint("big")


def test_the_published_files_are_the_three_of_the_repository() -> None:
    assert {name: entry.architecture for name, entry in OFFICIAL_CHECKPOINTS.items()} == {
        "sam_vit_b": "vit_b",
        "sam_vit_l": "vit_l",
        "sam_vit_h": "vit_h",
    }
    assert all(len(entry.sha256) == 64 for entry in OFFICIAL_CHECKPOINTS.values())

"""The ledger and its lock on a real S3 server: one writer at a time, and none that is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from engine.rounds.ledger import open_ledger
from engine.rounds.run import run_engine
from model.errors import ConfigurationError, StopError
from pipelines import lock as lock_module
from pipelines.lock import LEASE_FILE, _LeaseObject, folder_lock
from pipelines.storage import Folder
from tests.engine.rounds.engines import FAKE_TOOLS, make_data, settings_of
from tests.object_store import endpoint, store  # noqa: F401 - fixtures

# botocore and aiohttp leave closing to the interpreter's end; that is theirs, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.3)
    monkeypatch.setattr(lock_module, "LEASE_SECONDS", 2.0)


@pytest.mark.slow
def test_an_engine_runs_with_its_ledger_on_s3(
    tmp_path: Path,
    store: Any,  # noqa: F811
) -> None:
    data = make_data(tmp_path / "data", pool=1, held_out=1)
    settings = settings_of(
        data,
        "s3://bucket/engine",
        scratch=str(tmp_path / "scratch"),
        rounds=[{"stage": "assisted_manual", "photos": {"count": 1}}],
    )

    ledger = run_engine(settings, tools=FAKE_TOOLS).ledger

    assert open_ledger("s3://bucket/engine").find(1, "promote") is not None
    assert ledger.folder.exists("checkpoints/0000000000000000.safetensors")
    assert not ledger.folder.exists(LEASE_FILE)


def test_a_second_call_sees_the_first_ones_heartbeat_and_stops(store: Any) -> None:  # noqa: F811
    folder = Folder("s3://bucket/held")
    with (
        folder_lock(folder),
        pytest.raises(ConfigurationError, match="is at work here"),
        folder_lock(folder),
    ):
        pass


@pytest.mark.slow
def test_a_lease_that_nobody_renews_is_taken_over_and_its_old_holder_stops(
    store: Any,  # noqa: F811
) -> None:
    folder = Folder("s3://bucket/abandoned")
    elsewhere = {"who": "process 7 on moon", "machine": "moon", "process": 7}
    folder.create(LEASE_FILE, json.dumps(elsewhere).encode())

    with folder_lock(folder) as lock:
        lock.check()
        folder.write(LEASE_FILE, b"{}")  # as somebody who took over would
        for _ in range(100):
            if lock._lost.wait(0.1):
                break
        with pytest.raises(StopError, match="the lock on the folder was lost"):
            lock.check()


def test_a_network_that_is_gone_for_a_while_does_not_end_the_heartbeat(
    store: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lock_module, "LEASE_SECONDS", 1.0)
    folder = Folder("s3://bucket/unplugged")
    renew, tries = _LeaseObject.renew, []

    def unplugged(lease: _LeaseObject) -> bool:
        tries.append(1)
        raise EndpointConnectionError(endpoint_url="http://gone")

    with folder_lock(folder) as lock:
        monkeypatch.setattr(_LeaseObject, "renew", unplugged)
        _wait_until(lambda: len(tries) > 1)
        lock.check()
        _wait_until(lambda: time.monotonic() > lock._good_until)
        with pytest.raises(StopError, match="the lock on the folder was lost"):
            lock.check()
        monkeypatch.setattr(_LeaseObject, "renew", renew)
        # Nobody took it meanwhile, so it is ours again.
        _wait_until(lambda: time.monotonic() < lock._good_until)
        lock.check()


def test_an_answer_that_gets_lost_is_no_loss_of_the_lease(
    store: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.1)
    folder = Folder("s3://bucket/lost-answers")
    put, lost = _LeaseObject._put, []

    def put_and_fail(lease: _LeaseObject, tag: str, text: bytes) -> None:
        mine = lease._tag
        put(lease, tag, text)
        lease._tag = mine
        lost.append(1)
        raise EndpointConnectionError(endpoint_url="http://gone")

    with folder_lock(folder) as lock:
        monkeypatch.setattr(_LeaseObject, "_put", put_and_fail)
        _wait_until(lambda: len(lost) > 2)
        lock.check()


def _wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_a_name_can_be_taken_once(store: Any, tmp_path: Path) -> None:  # noqa: F811
    for address in ("s3://bucket/once", str(tmp_path)):
        folder = Folder(address)
        folder.create("a", b"first")
        with pytest.raises(FileExistsError):
            folder.create("a", b"second")
        assert folder.read("a") == b"first"
    with pytest.raises(ConfigurationError, match="cannot be created exclusively"):
        Folder("memory://once").create("a", b"")

from __future__ import annotations

import json

import pytest

from engine.assist.progress import ServerProgress
from engine.clicks.bell import Bell
from engine.commands.people import repeat, tell_status
from engine.label_studio.errors import ServerRefusedError, ServerUnavailableError
from model.errors import BusyError


class Afternoon:
    """Collections that go as they are told, one after another."""

    def __init__(self, *outcomes: BaseException | None) -> None:
        self.outcomes = list(outcomes)

    def collect_once(self) -> None:
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome


@pytest.mark.parametrize(
    "passing", [ServerUnavailableError("cannot be reached"), BusyError("is at work here")]
)
def test_collecting_every_minute_goes_on_after_an_outage(passing, capsys):
    afternoon = Afternoon(None, passing, passing, None, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        repeat(afternoon.collect_once, 0.001, Bell(None))
    assert afternoon.outcomes == []
    told = capsys.readouterr().err
    assert told.count(str(passing)) == 2
    assert "Ctrl+C stops" in told


def test_what_does_not_pass_ends_it_and_so_does_an_outage_of_a_single_collection():
    with pytest.raises(ServerRefusedError):
        repeat(Afternoon(ServerRefusedError("wrong token")).collect_once, 60, Bell(None))
    with pytest.raises(ServerUnavailableError):
        repeat(Afternoon(ServerUnavailableError("down")).collect_once, None, Bell(None))


@pytest.mark.parametrize("sent", [4, 12])
def test_status_says_what_was_never_sent_and_how_to_go_on(sent, capsys):
    now = ServerProgress(
        chosen=12, sent=sent, there=4, begun=1, finished=1, waiting=3, skipped=0, collected=1
    )
    tell_status(now, "mask-engine assist send mine.yaml", as_json=False)
    told = capsys.readouterr().out
    assert ["sent", f"{sent}"] in [line.split() for line in told.splitlines()]
    hint = "8 were never sent; to go on:  mask-engine assist send mine.yaml"
    assert (hint in told) == (sent < 12)
    tell_status(now, "mask-engine assist send mine.yaml", as_json=True)
    assert json.loads(capsys.readouterr().out)["sent"] == sent

from __future__ import annotations

import pytest

from engine.clicks.bell import Bell
from engine.commands.people import repeat
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

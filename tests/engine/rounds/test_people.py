"""Rounds with people: the engine sends, waits, and goes on when they have finished."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.assist.connection import Connection
from engine.label_studio.home import Home
from engine.rounds.run import Stopped, run_engine
from engine.rounds.status import status_lines
from model.errors import ConfigurationError
from pipelines.shards import read_rows
from tests.engine.assist.runs import make_region
from tests.engine.fake_label_studio import FakeLabelStudio
from tests.engine.rounds.engines import FAKE_TOOLS, QUICK, SIZE_HW, make_data, settings_of
from tests.factories import rectangle

GATE = {"measure": "iou_1", "least_photos": 1}
ROUNDS = [
    {"stage": "assisted_manual", "photos": {"count": 2}},
    {
        "stage": "semi_automatic",
        "photos": {"count": 1},
        "proposing": QUICK,
        "sure_predicted_iou": 0.7,
    },
]


class Office:
    """An engine, a server in memory, and the people at it."""

    def __init__(self, folder: Path) -> None:
        data = make_data(folder / "data", pool=3, held_out=1)
        home = Home(folder / "home")
        home.make()
        self.server = FakeLabelStudio()
        connection = Connection(self.server.client(), home)
        self.tools = replace(FAKE_TOOLS, connection=connection)
        people = {"kind": "label_studio", "label_studio": {"names": ["Nucleus"]}}
        self.settings = settings_of(data, folder / "out", rounds=ROUNDS, people=people, gate=GATE)

    def run(self) -> Stopped:
        return run_engine(self.settings, tools=self.tools)

    def ask(self, **label_studio: Any) -> None:
        """Other settings for people."""
        people = self.settings.people.model_copy(update={"label_studio": label_studio})
        self.settings = self.settings.model_copy(update={"people": people})

    def annotate(self, path: str, regions: list[dict[str, Any]]) -> None:
        self.server.annotate(self.server.task_of(path), regions)


def test_it_stops_where_it_waits_for_people_and_goes_on_from_there(tmp_path: Path) -> None:
    office = Office(tmp_path)
    drawn = make_region(rectangle((10, 20, 24, 24), SIZE_HW))

    first = office.run()
    office.annotate("0.png", [drawn])
    second = office.run()

    assert first.waiting is not None
    assert (first.waiting.done, first.waiting.asked) == (0, 2)
    assert second.waiting is not None
    assert (second.waiting.done, second.waiting.asked) == (1, 2)
    assert second.ledger.find(1, "collect") is None
    for told in (status_lines(second.ledger, office.settings), status_lines(second.ledger)):
        assert "1 of 2 photos were done, at http" in told[0]
    assert "which waits for people" in status_lines(second.ledger, office.settings)[0]

    # How people are told is nobody's business; what their answers become is.
    office.ask(names=["Nucleus"], instructions="Every nucleus, please.")
    assert office.run().waiting is not None
    office.ask(names=["Cell"])
    with pytest.raises(ConfigurationError, match=r"round 1 was sent to people.*names"):
        office.run()
    office.ask(names=["Nucleus"])

    office.annotate("1.png", [drawn])
    third = office.run()

    assert third.waiting is not None
    collected = third.ledger.find(1, "collect")
    assert collected is not None
    assert (collected.counts["photos"], collected.counts["masks"]) == (2, 2)
    assert third.ledger.find(1, "promote") is not None

    # The semi-automatic round's task begins with the model's masks; nobody touches them.
    task = office.server.all_tasks[office.server.task_of("2.png")]
    (prediction,) = task["predictions"]
    office.annotate("2.png", [*copy.deepcopy(prediction["result"]), drawn])
    done = office.run()

    assert done.waiting is None
    semi = done.ledger.find(2, "collect")
    assert semi is not None
    assert semi.counts["untouched"] == len(prediction["result"]) > 0
    rows = list(read_rows(f"{office.settings.out}/rounds/02/data/train"))
    assert {row.stage for row in rows} == {"assisted_manual", "semi_automatic"}

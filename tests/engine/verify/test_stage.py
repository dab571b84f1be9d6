from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from engine.assist.connection import Connection
from engine.label_studio.errors import ServerRefusedError
from engine.label_studio.home import Home
from engine.verify import progress, stage
from engine.verify.choosing import choose
from engine.verify.pictures import LINE_RGB, SIDE_PX, picture_of
from engine.verify.settings import VerifyRun, read_verify_run
from model.errors import ConfigurationError
from pipelines.reviews import read_reviews
from pipelines.storage import Folder
from tests.engine.fake_label_studio import FakeLabelStudio
from tests.engine.run_factory import make_run
from tests.factories import make_mask


class Verifying:
    """A run with four masks on two photos, and a server to judge them at."""

    def __init__(self, tmp_path: Path, photo_rows, **settings: Any) -> None:
        self.run = make_run(tmp_path / "run", photo_rows)
        self.home = Home(tmp_path / "home")
        self.home.make()
        defaults = {"run": str(self.run), "out": str(tmp_path / "verify"), "project": "Check"}
        self.settings = VerifyRun(**(defaults | settings))
        self.server = FakeLabelStudio()

    @property
    def connection(self) -> Connection:
        return Connection(self.server.client(), self.home)

    def send(self):
        return stage.send(self.settings, connection=self.connection)

    def collect(self):
        return stage.collect(self.settings, connection=self.connection)

    def status(self):
        return progress.status(self.settings, connection=self.connection)

    def judge(self, place: int, verdict: str, **fields: Any) -> None:
        region = {"from_name": "verdict", "type": "choices", "value": {"choices": [verdict]}}
        self.server.annotate(sorted(self.server.all_tasks)[place], [region], **fields)

    def reviews(self):
        return list(read_reviews(Folder(str(self.run))))


def test_verdicts_become_rows_of_the_runs_reviews(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows, most=4)
    assert verifying.send().added == 4
    assert verifying.send().added == 0
    worst = choose(str(verifying.run), order="worst", most=4, seed=0, without=frozenset())
    verifying.judge(0, "reject", by="ann@example.com", seconds=2.5)
    verifying.judge(1, "fix", by="bob@example.com", seconds=4.0)
    found = verifying.collect()
    assert (found.sent, found.finished, found.added) == (4, 2, 2)
    first, second = verifying.reviews()
    assert (first.mask_id, first.image_id) == (worst[0].mask_id, worst[0].image_id)
    assert (first.verdict, first.annotator, first.seconds) == ("reject", "ann@example.com", 2.5)
    assert first.at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert (second.mask_id, second.verdict) == (worst[1].mask_id, "fix")
    assert verifying.collect().added == 0
    assert len(verifying.reviews()) == 2


def test_the_least_sure_come_first_and_a_sample_is_the_same_every_time(tmp_path, photo_rows):
    run = str(make_run(tmp_path / "run", photo_rows))
    worst = choose(run, order="worst", most=3, seed=0, without=frozenset())
    assert [c.rank for c in worst] == sorted(c.rank for c in worst)
    assert worst[0].rank == 0.75
    sample = choose(run, order="random", most=3, seed=1, without=frozenset())
    assert choose(run, order="random", most=3, seed=1, without=frozenset()) == sample
    assert choose(run, order="random", most=3, seed=2, without=frozenset()) != sample
    rest = choose(run, order="worst", most=9, seed=0, without={worst[0].mask_id})
    assert worst[0] not in rest


def test_masks_with_a_review_are_not_sent_again_unless_asked_for(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows)
    everything = verifying.send().added
    verifying.judge(0, "accept")
    verifying.collect()
    out = str(tmp_path / "second")
    verifying.settings = verifying.settings.model_copy(update={"out": out, "project": "Second"})
    assert verifying.send().added == everything - 1
    again = {"out": str(tmp_path / "third"), "project": "Third", "again": True}
    verifying.settings = verifying.settings.model_copy(update=again)
    assert verifying.send().added == everything


def test_answers_of_no_use_are_told_and_the_rest_goes_on(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows)
    verifying.send()
    verifying.judge(0, "perhaps")
    verifying.judge(1, "accept")
    task = sorted(verifying.server.all_tasks)[2]
    verifying.server.all_tasks[task]["data"]["path"] = "000000-other.jpg"
    verifying.judge(2, "accept")
    verifying.server.annotate(sorted(verifying.server.all_tasks)[3], [], skipped=True)
    found = verifying.collect()
    assert found.added == 1
    assert [problem.partition("): ")[2] for problem in found.problems] == [
        "says no verdict",
        "shows no mask that was sent",
    ]


@pytest.mark.parametrize("change", [{"order": "random"}, {"most": 7}, {"again": True}])
def test_another_choice_than_was_made_is_refused_by_name(tmp_path, photo_rows, change):
    verifying = Verifying(tmp_path, photo_rows, most=4)
    verifying.send()
    verifying.settings = verifying.settings.model_copy(update=change)
    ((name, value),) = change.items()
    for use in (verifying.send, verifying.collect):
        with pytest.raises(ConfigurationError, match=rf"{name} was .*, now {value}"):
            use()


def test_verdicts_never_go_to_another_run_than_they_are_about(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows)
    verifying.send()
    verifying.judge(0, "accept")
    other = make_run(tmp_path / "other", photo_rows)
    verifying.settings = verifying.settings.model_copy(update={"run": str(other)})
    with pytest.raises(ConfigurationError, match=r"run was .*/run, now .*/other"):
        verifying.collect()
    assert list(read_reviews(Folder(str(other)))) == []


def test_masks_whose_photo_is_gone_are_told(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows)
    Path(photo_rows[0].ref.uri).unlink()
    sent = verifying.send()
    gone = {mask.mask_id for mask in photo_rows[0].masks}
    assert {why.split()[1].rstrip(":") for why in sent.unseen} == gone
    assert all("photo 0.png cannot be shown" in why for why in sent.unseen)
    assert verifying.collect().sent == sent.added
    for row in photo_rows[1:4]:
        Path(row.ref.uri).unlink()
    verifying.settings = verifying.settings.model_copy(update={"out": str(tmp_path / "again")})
    with pytest.raises(ConfigurationError, match=r"none of its .* masks can be shown"):
        verifying.send()


def test_a_choice_from_before_its_settings_were_kept_goes_on(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows)
    everything = verifying.send().added
    file = tmp_path / "verify" / "chosen.json"
    file.write_text(json.dumps(json.loads(file.read_text())["masks"]))
    assert verifying.send().there == everything
    verifying.judge(0, "accept")
    assert verifying.collect().added == 1


def test_a_skipped_mask_is_counted_and_its_verdict_does_not_count(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows, annotators=2)
    verifying.send()
    verifying.judge(0, "accept", skipped=True)
    verifying.judge(1, "accept", skipped=True)
    verifying.judge(1, "reject", by="bob@example.com")
    found = verifying.collect()
    assert (found.skipped, found.finished, found.added) == (1, 1, 1)
    assert found.verdicts == {"reject": 1}


def test_status_says_how_far_the_people_are_and_what_they_said(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows, most=4)
    with pytest.raises(ConfigurationError, match="`mask-engine verify send` comes first"):
        verifying.status()
    verifying.send()
    verifying.judge(0, "reject")
    verifying.judge(1, "accept")
    verifying.server.annotate(sorted(verifying.server.all_tasks)[2], [], skipped=True)
    verifying.collect()
    task = verifying.server.all_tasks[sorted(verifying.server.all_tasks)[0]]
    task["annotations"].clear()  # ann looks again
    verifying.judge(0, "fix", at="2026-01-02T10:00:00Z")
    now = verifying.status()
    assert (now.chosen, now.sent, now.there, now.begun) == (4, 4, 4, 3)
    assert (now.finished, now.waiting, now.skipped, now.collected) == (3, 1, 1, 2)
    assert (now.accept, now.reject, now.fix) == (1, 1, 0)  # as it was collected
    verifying.collect()
    now = verifying.status()
    assert (now.collected, now.accept, now.reject, now.fix) == (2, 1, 0, 1)


def test_masks_that_the_server_never_took_do_not_count_as_sent(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows, most=4)

    def refuse(request):
        return httpx.Response(400) if request.url.path.endswith("/import") else None

    verifying.server.before = refuse
    with pytest.raises(ServerRefusedError):
        verifying.send()
    assert (verifying.status().chosen, verifying.status().sent) == (4, 0)
    assert verifying.collect().sent == 0


def test_what_cannot_work_is_said_before_anything_is_sent(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows)
    with pytest.raises(ConfigurationError, match="`mask-engine verify send` comes first"):
        verifying.collect()
    verifying.settings = verifying.settings.model_copy(update={"out": "memory://verify"})
    with pytest.raises(ConfigurationError, match="out has to be a folder here"):
        verifying.send()
    assert verifying.server.requests == []


def test_a_picture_shows_the_outline_in_the_whole_photo_and_from_near():
    photo = np.full((300, 400, 3), 128, np.uint8)
    mask = make_mask(box_xywh=(40, 30, 20, 20), size_hw=(300, 400))
    picture = picture_of(photo, mask)
    assert picture.shape == (SIDE_PX, 2 * SIDE_PX + 12, 3)
    red = (np.abs(picture.astype(int) - LINE_RGB).max(axis=2) < 40).sum(axis=0)
    assert 0 < red[:SIDE_PX].sum() < red[SIDE_PX:].sum()  # from near it is longer
    with pytest.raises(ValueError, match="another size than its photo"):
        picture_of(photo[:50], mask)


def test_pictures_are_named_in_the_order_in_which_masks_are_looked_at(tmp_path, photo_rows):
    verifying = Verifying(tmp_path, photo_rows, most=3)
    verifying.send()
    names = sorted(path.name for path in (tmp_path / "verify" / "pictures").iterdir())
    worst = choose(str(verifying.run), order="worst", most=3, seed=0, without=frozenset())
    assert names == [f"{place:06d}-{c.mask_id}.jpg" for place, c in enumerate(worst)]
    with Image.open(tmp_path / "verify" / "pictures" / names[0]) as picture:
        assert picture.height == SIDE_PX


def test_the_shipped_configuration_loads():
    assert read_verify_run("configs/verify-examples.yaml").run == "runs/demo"

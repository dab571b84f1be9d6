"""The semi-automatic stage against the fake server: what comes back of what was sent."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.assist.collecting import sent_run
from engine.assist.connection import Connection
from engine.assist.progress import harvest
from engine.label_studio.home import Home
from engine.rounds.data_set import rejected
from engine.semi import stage
from engine.semi.proposing import ProposingModel
from engine.semi.settings import SemiRun, read_semi_run
from model.errors import ConfigurationError
from pipelines.reviews import append_reviews, read_reviews
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages import rle
from stages.records import ImageRow
from stages.reviews import ReviewRecord
from stages.semi_automatic import SemiAutomaticParameters
from tests.engine.assist.runs import make_exhaustive, make_region
from tests.engine.fake_label_studio import FakeLabelStudio
from tests.engine.simulation.discs import SIZE_HW, make_discs
from tests.factories import rectangle
from tests.fakes import DiscSegmenter, FixedBoxes
from tests.pipelines.runs import shard_digests

BOXES = ((15.0, 15.0, 45.0, 45.0), (68.0, 38.0, 112.0, 82.0))
ADDED = rectangle((4, 60, 20, 20), SIZE_HW)


class PrefilledRun:
    """Photos of discs whose tasks begin with two masks each."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        make_discs(tmp_path, count=2)
        self.home = Home(tmp_path / "home")
        self.home.make()
        self.out = tmp_path / "run"
        self.settings = SemiRun(
            source=str(tmp_path / "photos"),
            out=str(self.out),
            project="Prefilled",
            detector="detector.safetensors",
            **settings,
        )
        self.server = FakeLabelStudio()
        self.boxes = BOXES

    @property
    def connection(self) -> Connection:
        return Connection(self.server.client(), self.home)

    def model(self) -> ProposingModel:
        parameters = SemiAutomaticParameters(min_predicted_iou=0.7, min_stability=0.5)
        return ProposingModel(DiscSegmenter(), FixedBoxes(*self.boxes), parameters)

    def send(self) -> stage.SentPrefilled:
        return stage.send(self.settings, connection=self.connection, model=self.model)

    def collect(self):
        return stage.collect(self.settings, connection=self.connection)

    def began_with(self, path: str) -> list[dict[str, Any]]:
        task = self.server.all_tasks[self.server.task_of(path)]
        (prediction,) = task["predictions"]
        return copy.deepcopy(prediction["result"])

    def rows(self) -> dict[str, ImageRow]:
        return {row.ref.path: row for row in read_rows(str(self.out))}

    def proposals(self) -> dict[str, ImageRow]:
        return {row.ref.path: row for row in read_rows(self.settings.proposals)}

    def verdicts(self) -> dict[str, str]:
        return {r.mask_id: r.verdict for r in read_reviews(Folder(str(self.out)))}


def test_what_nobody_touched_comes_back_as_the_very_mask_that_was_proposed(tmp_path):
    run = PrefilledRun(tmp_path)
    assert [run.send().proposed, run.send().proposed] == [4, 4]
    regions = run.began_with("0.png")
    run.server.annotate(run.server.task_of("0.png"), [*regions, make_exhaustive()])
    run.collect()
    row, proposed = run.rows()["0.png"], run.proposals()["0.png"]
    assert len(proposed.masks) == 2
    assert row.masks == proposed.masks
    assert (row.stage, row.exhaustive, dict(row.dropped)) == ("semi_automatic", True, {})
    assert run.verdicts() == {mask.mask_id: "accept" for mask in proposed.masks}
    (review, _) = read_reviews(Folder(str(run.out)))
    assert (review.annotator, review.at.isoformat()) == (
        "ann@example.com",
        "2026-01-01T10:00:00+00:00",
    )


def test_moved_deleted_and_added_masks_are_told_apart(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    moved, _deleted = run.began_with("0.png")
    corners = np.array(moved["value"]["points"])
    right = corners[:, 0] > corners[:, 0].mean()
    corners[right, 0] += 6
    moved["value"]["points"] = corners.tolist()
    added = make_region(ADDED)
    run.server.annotate(run.server.task_of("0.png"), [moved, added], seconds=20.0)
    run.collect()
    row, proposed = run.rows()["0.png"], run.proposals()["0.png"].masks
    correction, human = row.masks
    assert (correction.derived_from, correction.origin) == (proposed[0].mask_id, "human")
    assert correction.area > proposed[0].area
    assert correction.edited_px == correction.area - proposed[0].area
    assert (human.origin, human.derived_from) == ("human", None)
    assert np.array_equal(rle.decode(human.segmentation), ADDED)
    assert {mask.seconds for mask in row.masks} == {10.0}  # the task's time, shared out
    assert dict(row.dropped) == {"corrected": 1, "rejected": 1}
    assert run.verdicts() == {proposed[0].mask_id: "fix", proposed[1].mask_id: "reject"}
    counted = harvest(run.settings, sent_run(run.settings, run.connection.studio)[0])
    assert counted.problems == []  # it is what people were asked for


def test_a_correction_put_back_is_the_proposed_mask_again(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    began = run.began_with("0.png")
    moved = copy.deepcopy(began)
    for point in moved[0]["value"]["points"]:
        point[0] += 5
    task = run.server.task_of("0.png")
    run.server.annotate(task, moved)
    run.collect()
    first = run.rows()["0.png"]
    run.server.change(task, moved[:1])  # the second one is deleted now, the first one stays
    run.collect()
    second = run.rows()["0.png"]
    assert second.masks[0].mask_id == first.masks[0].mask_id
    run.server.change(task, began)
    run.collect()
    third = run.rows()["0.png"]
    assert (third.revision, third.masks) == (2, run.proposals()["0.png"].masks)
    before = shard_digests(run.out)
    assert run.collect().changed == 0
    assert shard_digests(run.out) == before


def test_outlines_of_no_use_are_dropped_by_name_and_the_rest_is_kept(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    broken, kept = run.began_with("0.png")
    broken["value"]["points"] = [[1, 2]]
    run.server.annotate(run.server.task_of("0.png"), [broken, kept])
    run.collect()
    row = run.rows()["0.png"]
    assert (len(row.masks), dict(row.dropped)) == (1, {"broken_polygon": 1})


def test_a_polygon_drawn_by_hand_is_a_mask_like_any_other(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    drawn = run.began_with("0.png")[0] | {"id": "drawn-by-hand"}
    drawn["value"]["points"] = [[0, 0], [50, 0], [50, 50], [0, 50]]
    run.server.annotate(run.server.task_of("0.png"), [drawn])
    run.collect()
    (mask,) = run.rows()["0.png"].masks
    assert (mask.origin, mask.derived_from, mask.seconds_from) == ("human", None, "task")
    assert abs(mask.area - 48 * 64) <= 48 + 64 + 1


def test_verdicts_on_single_masks_between_two_collections_hide_no_shards_reviews(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    run.server.annotate(run.server.task_of("0.png"), run.began_with("0.png"))
    run.collect()
    first, second = (run.proposals()[path].masks for path in ("0.png", "1.png"))
    at = datetime(2026, 1, 2, tzinfo=UTC)
    image = run.rows()["0.png"].ref.image_id
    verdict = ReviewRecord(first[0].mask_id, image, "reject", "bob@example.com", 2.0, at)
    assert append_reviews(Folder(str(run.out)), [verdict]) == 1
    run.server.annotate(run.server.task_of("1.png"), run.began_with("1.png"))
    run.collect()
    assert run.verdicts().keys() == {mask.mask_id for mask in (*first, *second)}
    assert len(list(read_reviews(Folder(str(run.out))))) == len(first) + len(second) + 1


def test_a_skipped_photo_has_no_reviews(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    run.server.annotate(run.server.task_of("0.png"), [], skipped=True)
    run.collect()
    assert run.verdicts() == {}


def test_other_proposals_than_were_sent_are_refused_by_name(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    run.send()
    assert len(run.server.all_tasks) == 2
    run.settings = run.settings.model_copy(update={"round": 3})
    with pytest.raises(ConfigurationError, match="round was 0, now 3"):
        run.send()


def test_photos_that_came_and_went_are_sent_and_left_alone(tmp_path):
    run = PrefilledRun(tmp_path)
    run.send()
    before = run.proposals()["1.png"]
    photos = tmp_path / "photos"
    (photos / "new.png").write_bytes((photos / "0.png").read_bytes())
    (photos / "0.png").unlink()
    sent = run.send()
    assert (sent.added, sent.there) == (1, 1)
    assert len(run.began_with("new.png")) == 2
    assert run.proposals()["1.png"] == before
    assert run.send().added == 0
    for name in ("0.png", "new.png"):  # what was sent of a photo that is gone still counts
        run.server.annotate(run.server.task_of(name), run.began_with(name))
    run.collect()
    assert run.rows()["new.png"].masks == run.proposals()["new.png"].masks


def test_a_photo_without_a_confident_mask_is_an_empty_task(tmp_path):
    run = PrefilledRun(tmp_path)
    run.boxes = ()
    run.send()
    assert [task["predictions"] for task in run.server.all_tasks.values()] == [[], []]


def test_the_shipped_configuration_loads():
    run = read_semi_run("configs/semi-examples.yaml")
    assert (run.stage, run.proposals) == ("semi_automatic", "runs/semi-examples/proposals")


def test_a_mask_that_the_winner_kept_is_not_rejected_by_who_came_later(tmp_path):
    run = PrefilledRun(tmp_path, annotators=2, winner="first")
    run.send()
    task = run.server.task_of("0.png")
    run.server.annotate(task, run.began_with("0.png"), by="winner@example.com")
    run.server.annotate(task, [], by="later@example.com")
    run.collect()

    kept = {mask.mask_id for mask in run.rows()["0.png"].masks}
    assert len(list(read_reviews(Folder(str(run.out))))) == 4
    assert len(kept) == 2
    assert rejected([str(run.out)]) == frozenset()

"""The semi-automatic stage and the verify step at a real Label Studio, by HTTP and by browser."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from engine.assist.connection import connected
from engine.semi import stage
from engine.semi.proposing import ProposingModel
from engine.semi.settings import SemiRun
from engine.verify import stage as verify
from engine.verify.settings import VerifyRun
from pipelines.reviews import read_reviews
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages import rle
from stages.semi_automatic import SemiAutomaticParameters
from tests.engine.assist.runs import make_region
from tests.engine.simulation.discs import SIZE_HW, make_discs
from tests.factories import rectangle
from tests.fakes import DiscSegmenter, FixedBoxes

pytestmark = [pytest.mark.label_studio, pytest.mark.timeout(900)]

ADDED = rectangle((4, 60, 20, 20), SIZE_HW)


def model() -> ProposingModel:
    boxes = FixedBoxes((15.0, 15.0, 45.0, 45.0), (68.0, 38.0, 112.0, 82.0))
    parameters = SemiAutomaticParameters(min_predicted_iou=0.7, min_stability=0.5)
    return ProposingModel(DiscSegmenter(), boxes, parameters)


@pytest.fixture
def settings(tmp_path, real_studio) -> SemiRun:
    make_discs(tmp_path, count=2)
    return SemiRun(
        source=str(tmp_path / "photos"),
        source_name=f"photos-{tmp_path.name}",
        out=str(tmp_path / "run"),
        project="Prefilled",
        detector="none",
    )


def test_the_whole_semi_automatic_loop_and_a_restart_in_the_middle(settings, real_studio):
    sent = stage.send(settings, model=model)
    assert stage.send(settings, model=model).added == 0
    with real_studio.client() as studio:
        for task in studio.tasks(sent.project):
            (prediction,) = studio.task(task["id"])["predictions"]
            kept, _deleted = prediction["result"]
            moved = copy.deepcopy(kept)
            moved["value"]["points"] = [[x + 4, y] for x, y in kept["value"]["points"]]
            first = moved if task["data"]["path"] == "1.png" else kept
            content = {"result": [first, make_region(ADDED)], "lead_time": 20.0}
            studio.post(f"/api/tasks/{task['id']}/annotations/", content)
    real_studio.stop()
    real_studio.start()
    assert stage.collect(settings).fresh == 2
    assert stage.collect(settings).fresh == 0
    assert stage.status(settings).collected == 2
    rows = {row.ref.path: row for row in read_rows(settings.out)}
    proposed = {row.ref.path: row.masks for row in read_rows(settings.proposals)}
    by_id = {mask.mask_id: mask for mask in rows["0.png"].masks}
    (kept_id,) = by_id.keys() & {mask.mask_id for mask in proposed["0.png"]}
    assert by_id[kept_id] in proposed["0.png"]
    assert rle.encode(ADDED) in {mask.segmentation for mask in rows["0.png"].masks}
    corrected = next(mask for mask in rows["1.png"].masks if mask.derived_from)
    assert corrected.derived_from in {mask.mask_id for mask in proposed["1.png"]}
    verdicts = sorted(review.verdict for review in read_reviews(Folder(settings.out)))
    assert verdicts == ["accept", "fix", "reject", "reject"]


def test_verdicts_on_single_masks_become_reviews(settings, tmp_path, real_studio):
    stage.send(settings, model=model)
    checking = VerifyRun(
        run=settings.proposals, out=str(tmp_path / "verify"), project=f"Check {tmp_path.name}"[:50]
    )
    sent = verify.send(checking)
    assert (sent.added, verify.send(checking).added) == (4, 0)
    verdict = {"from_name": "verdict", "to_name": "image", "type": "choices", "id": "v"}
    with real_studio.client() as studio:
        for task in studio.tasks(sent.project):
            content = [verdict | {"value": {"choices": ["accept"]}}]
            studio.post(
                f"/api/tasks/{task['id']}/annotations/", {"result": content, "lead_time": 1.5}
            )
    assert verify.collect(checking).added == 4
    assert verify.collect(checking).added == 0
    reviews = list(read_reviews(Folder(settings.proposals)))
    masks = {mask.mask_id for row in read_rows(settings.proposals) for mask in row.masks}
    assert {review.mask_id for review in reviews} == masks
    assert {(r.verdict, r.annotator, r.seconds) for r in reviews} == {
        ("accept", real_studio.credentials.email, 1.5)
    }


@pytest.mark.browser
def test_in_the_browser_outlines_are_left_moved_and_deleted(settings, labelling):
    sent = stage.send(settings, model=model)
    with connected(settings.server) as connection:
        tasks = {task["data"]["path"]: task["id"] for task in connection.studio.tasks(sent.project)}
        (prediction,) = connection.studio.task(tasks["1.png"])["predictions"]
    labelling.log_in()
    labelling.open(sent.project, tasks["0.png"], regions=2)
    labelling.submit()
    labelling.open(sent.project, tasks["1.png"], regions=2)
    corners = np.array(prediction["result"][0]["value"]["points"])
    labelling.delete_region(prediction["result"][1]["id"])
    labelling.drag_outline(prediction["result"][0]["id"], corners[0], corners[0] + [0, -8])
    labelling.picture("semi")
    labelling.submit()
    stage.collect(settings)
    rows = {row.ref.path: row for row in read_rows(settings.out)}
    proposed = {row.ref.path: row.masks for row in read_rows(settings.proposals)}
    assert rows["0.png"].masks == proposed["0.png"]  # exact, through the browser
    (moved,) = rows["1.png"].masks
    by_id = {mask.mask_id: mask for mask in proposed["1.png"]}
    assert moved.derived_from == prediction["result"][0]["id"]
    assert moved.edited_px is not None
    assert 0 < moved.edited_px < by_id[moved.derived_from].area
    assert dict(rows["1.png"].dropped) == {"corrected": 1, "rejected": 1}


@pytest.mark.browser
def test_in_the_browser_a_mask_is_judged_by_keys_alone(settings, tmp_path, labelling):
    stage.send(settings, model=model)
    checking = VerifyRun(
        run=settings.proposals, out=str(tmp_path / "verify"), project=f"Keys {tmp_path.name}"[:50]
    )
    sent = verify.send(checking)
    with connected(checking.server) as connection:
        task = min(task["id"] for task in connection.studio.tasks(sent.project))
    labelling.log_in()
    labelling.open(sent.project, task)
    labelling.page.keyboard.press("r")
    labelling.picture("verify")
    labelling.submit_by_key()
    found = verify.collect(checking)
    assert (found.added, dict(found.verdicts)) == (1, {"reject": 1})
    (review,) = read_reviews(Folder(settings.proposals))
    assert review.seconds is not None
    assert review.seconds > 0

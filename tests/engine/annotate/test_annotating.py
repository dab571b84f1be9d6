"""From the page's work to shards and reviews: everything, exactly once, whatever dies."""

from __future__ import annotations

import pytest

from engine.annotate.serving import locked
from engine.annotate.settings import AnnotateRun
from engine.datasets.remove import remove_photo
from model.errors import BusyError
from pipelines.reviews import read_reviews
from pipelines.storage import Folder
from tests.engine.annotate.annotating import make_work, mask_counts, rows_of, serve


def finish(served, **fields):
    photo = served.next(fields.get("annotator", "Ada"))["photo"]["id"]
    answer = served.put(photo, make_work(**({"done": "complete", "ended": 112.0} | fields)))
    assert answer.status_code == 200
    return photo


def test_a_clicked_mask_becomes_a_record_with_its_clicks_and_seconds(tmp_path):
    served = serve(tmp_path)
    photo = finish(served, exhaustive=True)
    served.run.collector.collect()
    (row,) = served.rows()
    assert (row.ref.image_id, row.stage, row.exhaustive) == (photo, "assisted_manual", True)
    (mask,) = row.masks
    assert (mask.area, mask.bbox) == (80, (2.0, 3.0, 10.0, 8.0))
    assert (mask.annotator, mask.origin, mask.clicks) == ("Ada", "human", 2)
    assert (mask.seconds, mask.seconds_from) == (6.0, "clicks")
    assert mask.predicted_iou == 0.875
    assert mask.prompt.points_xy == ((5.0, 5.0), (30.0, 30.0))
    assert mask.model_id == served.run.collector.model_id


def test_a_painted_mask_takes_the_photos_time(tmp_path):
    served = serve(tmp_path)
    finish(served, clicks=[])
    served.run.collector.collect()
    (mask,) = served.rows()[0].masks
    assert (mask.seconds, mask.seconds_from, mask.model_id) == (12.0, "task", None)


def test_sent_twice_and_collected_twice_counts_once(tmp_path):
    served = serve(tmp_path)
    photo = finish(served)
    again = served.put(photo, make_work(done="complete", ended=112.0))
    assert again.json()["kept"] is False
    served.run.collector.collect()
    served.run.collector.collect()
    assert len(served.rows()) == 1


def test_what_a_killed_server_left_is_collected_by_the_next(tmp_path):
    photo = finish(serve(tmp_path))  # never collected, never stopped
    again = serve(tmp_path)
    assert again.next()["progress"] == {"mine": 1, "finished": 1, "total": 3}
    again.run.collector.collect()
    assert [row.ref.image_id for row in again.rows()] == [photo]


def test_stopping_the_server_collects(tmp_path):
    served = serve(tmp_path)
    with served.client:
        finish(served)
    assert len(rows_of(served.settings.out)) == 1


def test_unfinished_work_is_given_back_and_not_collected(tmp_path):
    served = serve(tmp_path)
    photo = served.next()["photo"]["id"]
    served.put(photo, make_work())
    served.run.collector.collect()
    assert served.rows() == []
    back = serve(tmp_path).next()
    assert back["photo"]["id"] == photo
    assert back["work"]["masks"][0]["segmentation"] == mask_counts(2, 3, 10, 8)


def logged(served, photo):
    return [(entry.at, entry.region_id, entry.clicks) for entry in served.log(photo)]


ALL_CLICKS = [(100.0, None, 0), (104.0, "a1", 1), (106.0, "a2", 2)]


def test_clicks_are_in_the_log_of_prompts_once_however_often_work_is_sent(tmp_path):
    served = serve(tmp_path)
    photo = served.next()["photo"]["id"]
    served.put(photo, make_work(clicks=make_work()["clicks"][:1]))
    served.put(photo, make_work())
    finish(served)
    assert logged(served, photo) == ALL_CLICKS
    again = serve(tmp_path)
    again.put(photo, make_work(done="complete", ended=112.0))
    assert logged(again, photo) == ALL_CLICKS
    assert {entry.model_id for entry in again.log(photo)} == {again.run.collector.model_id}


def test_clicks_that_a_killed_server_saved_and_did_not_log_are_logged_by_the_next(tmp_path):
    served = serve(tmp_path)
    photo = finish(served)
    (log,) = served.click_log.folder.rglob("*.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + lines[1][:20])  # killed in the middle of a line
    assert sorted(logged(serve(tmp_path), photo)) == ALL_CLICKS


def test_work_whose_clicks_cannot_be_logged_is_sent_again_until_they_are(tmp_path):
    served = serve(tmp_path)
    photo = served.next()["photo"]["id"]
    blocked = served.click_log.folder / "project-annotate"
    blocked.write_text("in the way")
    answer = served.put(photo, make_work(done="complete", ended=112.0))
    assert answer.status_code == 503
    assert "could not be saved" in answer.json()["error"]
    blocked.unlink()
    assert served.put(photo, make_work(done="complete", ended=112.0)).status_code == 200
    assert logged(served, photo) == ALL_CLICKS


def test_a_skipped_photo_is_a_row_that_says_so(tmp_path):
    served = serve(tmp_path)
    finish(served, done="skip", masks=[])
    served.run.collector.collect()
    assert served.rows()[0].error.type == "skipped"


def test_two_peoples_photo_waits_for_both(tmp_path):
    served = serve(tmp_path, annotators=2)
    photo = finish(served, annotator="Ada")
    served.run.collector.collect()
    assert served.rows() == []
    assert finish(served, annotator="Bo") == photo
    served.run.collector.collect()
    assert served.rows()[0].dropped == {"other_annotator": 1}


@pytest.fixture
def begun(tmp_path):
    """A finished run whose masks others begin with."""
    (tmp_path / "first").mkdir()
    first = serve(tmp_path / "first", count=1, source_name="photos")
    second = {**make_work()["masks"][0], "id": "b", "segmentation": mask_counts(20, 20, 6, 5)}
    third = {**second, "id": "c", "segmentation": mask_counts(40, 30, 9, 9)}
    finish(first, masks=[*make_work()["masks"], second, third])
    first.run.collector.collect()
    return first


def verifying(tmp_path, begun):
    source = {"source_name": "photos", "kind": "verify", "masks": begun.settings.out}
    (tmp_path / "photos").symlink_to(tmp_path / "first" / "photos")
    return serve(tmp_path, **source)


def test_verdicts_become_reviews_and_masks_left_alone_stay_the_very_records(tmp_path, begun):
    served = verifying(tmp_path, begun)
    task = served.next()
    largest, middle, small = [given["id"] for given in task["given"]]
    corrected = {"id": middle, "segmentation": mask_counts(2, 3, 9, 8), "verdict": "accept"}
    work = make_work(
        clicks=[],
        masks=[
            {"id": largest, "verdict": "accept"},
            corrected,
            {"id": small, "verdict": "reject"},
        ],
        looked={largest: 2.5, middle: 7.25},
        done="complete",
        ended=112.0,
    )
    served.put(task["photo"]["id"], work)
    served.run.collector.collect()
    before = {mask.mask_id: mask for mask in begun.rows()[0].masks}
    kept = {mask.mask_id: mask for mask in served.rows()[0].masks}
    assert kept[largest] == before[largest]
    (changed,) = [mask for mask in kept.values() if mask.derived_from == middle]
    assert changed.edited_px == 8
    assert small not in kept
    reviews = read_reviews(Folder(served.settings.out))
    verdicts = {review.mask_id: (review.verdict, review.seconds) for review in reviews}
    assert verdicts == {
        largest: ("accept", 2.5),
        middle: ("fix", 7.25),
        small: ("reject", None),  # nobody measured it
    }


def test_given_masks_come_the_most_prominent_first(tmp_path, begun):
    given = verifying(tmp_path, begun).next()["given"]
    sizes = [mask["segmentation"]["counts"] for mask in given]
    assert sizes[0] == mask_counts(40, 30, 9, 9)["counts"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"annotator": ""}, "annotator: String should have at least 1 character"),
        ({"annotator": "a\nb"}, "annotator: String should match pattern"),
        ({"seconds": -1}, "seconds: Input should be greater than or equal to 0"),
        ({"masks": [{"id": "../x"}]}, "masks.0.id: String should match pattern"),
        (
            {"masks": [{"id": "a", "segmentation": {"size": [48, 64], "counts": "0"}}]},
            "masks.0.segmentation: Value error, RLE counts do not fill the mask",
        ),
        (
            {"masks": [{"id": "a", "segmentation": {"size": [10**9, 10**9], "counts": "0"}}]},
            "masks.0.segmentation: Value error, a mask of",
        ),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"looked": {"a": -1}}, "looked.a: Input should be greater than or equal to 0"),
        ({"done": "maybe"}, "done: Input should be 'complete' or 'skip'"),
    ],
)
def test_work_that_makes_no_sense_is_refused_by_name(tmp_path, fields, says):
    served = serve(tmp_path, count=1)
    answer = served.put(served.photos[0].image_id, make_work(**fields))
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_doors_are_shut(tmp_path):
    served = serve(tmp_path, count=1, page={"max_body_mib": 1})
    photo = served.photos[0].image_id
    assert served.put("0" * 32, make_work()).status_code == 404
    huge = served.client.put(f"/api/work/{photo}", content=b" " * (2**20 + 1))
    assert huge.status_code == 413
    assert served.client.get("/api/next").status_code == 400
    foreign = served.client.put(
        f"/api/work/{photo}", json=make_work(), headers={"origin": "http://evil.example"}
    )
    assert foreign.status_code == 403
    served.client.cookies.clear()
    assert served.put(photo, make_work()).status_code == 401


def test_a_mask_of_another_size_is_dropped_and_counted(tmp_path):
    served = serve(tmp_path)
    odd = {"size": [6, 6], "counts": "T1"}
    finish(served, masks=[{"id": "a", "segmentation": odd}], clicks=[])
    served.run.collector.collect()
    assert served.rows()[0].dropped == {"wrong_size": 1}


def test_one_server_a_run(tmp_path):
    out = str(tmp_path / "run")
    with (
        locked(out),
        pytest.raises(BusyError, match=r"process \d+ on .* is at work here.*is served already"),
        locked(out),
    ):
        pass
    with locked(out):
        pass


def test_a_photo_is_not_taken_out_under_a_server_and_not_given_out_again(tmp_path):
    served = serve(tmp_path, count=2)
    photo = finish(served)
    with (
        locked(served.settings.out),
        pytest.raises(BusyError, match="is at work here"),
    ):
        remove_photo(photo, [served.settings.out], reason="")
    served.run.collector.collect()
    remove_photo(photo, [served.settings.out], reason="asked to")
    again = serve(tmp_path)
    assert again.next()["progress"] == {"mine": 0, "finished": 0, "total": 1}
    assert again.put(photo, make_work()).status_code == 404


@pytest.mark.parametrize("fields", [{"kind": "verify"}, {"masks": "runs/demo"}])
def test_masks_to_begin_with_are_for_kinds_that_begin_with_masks(fields):
    with pytest.raises(ValueError, match="masks to begin with"):
        AnnotateRun(source="photos", out="run", **fields)

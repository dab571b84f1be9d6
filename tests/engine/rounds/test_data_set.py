"""Which photos are on which side of a round's split."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rounds.collecting import known_photos
from engine.rounds.data_set import TRAIN, VALIDATION, rejected, split
from engine.simulation.annotator import AnnotatorParameters
from engine.simulation.answers import DirectAnswers
from engine.simulation.photo_work import work_on_photo
from model.errors import ConfigurationError
from pipelines.joins import IndexedPhoto, JoinIndex
from pipelines.reviews import append_reviews, write_reviews
from pipelines.storage import Folder
from stages.joining import JoinParameters
from stages.reviews import ReviewRecord
from tests.engine.rounds.engines import make_data, settings_of
from tests.factories import make_mask, make_ref
from tests.fakes import DiscSegmenter


def index_of(paths: list[str], alike: list[tuple[int, int]] | None = None) -> JoinIndex:
    photos = tuple(IndexedPhoto(make_ref(path), (), 0) for path in paths)
    pairs = tuple((photos[a].ref.image_id, photos[b].ref.image_id) for a, b in alike or [])
    return JoinIndex(photos, pairs)


def side_of(index: JoinIndex, parameters: JoinParameters, seed: int = 0) -> dict[str, str]:
    sides = split(index, parameters, seed)
    return {photo.ref.path: side for side, photos in sides.items() for photo in photos}


@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=30), st.integers(0, 1000)
)
def test_near_duplicates_are_on_one_side_however_they_chain(pairs, seed: int) -> None:
    index = index_of([f"{number}.png" for number in range(40)], pairs)

    sides = side_of(index, JoinParameters(validation_share=0.3), seed)

    assert len(sides) == 40
    assert all(sides[f"{a}.png"] == sides[f"{b}.png"] for a, b in pairs)


def test_frames_of_one_source_are_on_one_side() -> None:
    paths = [f"clip{clip}_{frame:04d}.jpg" for clip in range(12) for frame in range(5)]
    parameters = JoinParameters(validation_share=0.4, frames_of=r"^(.*)_\d+\.jpg$")

    sides = side_of(index_of(paths), parameters)

    for clip in range(12):
        assert len({sides[f"clip{clip}_{frame:04d}.jpg"] for frame in range(5)}) == 1
    assert set(sides.values()) == {TRAIN, VALIDATION}


@pytest.mark.parametrize("expression", ["clip", "(["])
def test_an_expression_for_frames_is_checked_when_it_is_read(
    tmp_path: Path, expression: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"frames_of.*whose group 1 names what frames"):
        settings_of(tmp_path, tmp_path / "out", data={"frames_of": expression})


def test_the_share_is_about_what_was_asked_for_and_a_photo_stays_where_it_is() -> None:
    paths = [f"{number}.png" for number in range(500)]
    parameters = JoinParameters(validation_share=0.2)

    all_of_them, first_ones = (side_of(index_of(p), parameters) for p in (paths, paths[:100]))

    assert 0.13 < list(all_of_them.values()).count(VALIDATION) / 500 < 0.27
    assert all(all_of_them[path] == side for path, side in first_ones.items())


def test_the_newest_runs_last_review_holds_whatever_the_clock_says(tmp_path: Path) -> None:
    runs = []
    for number, verdicts in enumerate((("accept", "reject"), ("reject", "accept"))):
        at = datetime(2026 - number, 1, 1, tzinfo=UTC)
        reviews = [
            ReviewRecord(f"mask-{k}", "photo", verdict, "ann", None, at)
            for k, verdict in enumerate(verdicts)
        ]
        runs.append(str(tmp_path / str(number)))
        write_reviews(Folder(runs[-1]), 0, reviews)

    assert rejected(runs) == {"mask-0"}
    assert rejected(runs[:1]) == {"mask-1"}


def test_a_verdict_that_was_changed_later_holds_whatever_its_part_is_called(tmp_path: Path) -> None:
    run = Folder(str(tmp_path))
    for number in range(4):
        for day, verdict in enumerate(("reject", "accept"), start=1):
            at = datetime(2026, 1, day, tzinfo=UTC)
            review = ReviewRecord(f"mask-{number}", "photo", verdict, "ann", None, at)
            append_reviews(run, [review])

    assert rejected([run.address]) == frozenset()


def test_a_photo_without_objects_and_settings_of_label_studio_are_looked_at_early(
    tmp_path: Path,
) -> None:
    data = make_data(tmp_path / "data", pool=2)
    truth = json.loads((data / "pool.json").read_text())
    truth["annotations"] = [mark for mark in truth["annotations"] if mark["image_id"] == 0]
    (data / "pool.json").write_text(json.dumps(truth))

    known = known_photos(data / "pool.json", str(data / "pool"))
    empty = known[str(data / "pool" / "1.png")]
    work = work_on_photo(
        make_ref(),
        empty,
        DirectAnswers(DiscSegmenter()),
        AnnotatorParameters(),
        shown=[make_mask()],
    )
    assert (work.masks, work.dropped, work.exhaustive) == ((), {"rejected": 1}, True)

    with pytest.raises(ConfigurationError, match="label_studio: unknown key 'servr'; did you mean"):
        settings_of(data, tmp_path, people={"kind": "label_studio", "label_studio": {"servr": {}}})
    settings_of(data, tmp_path, people={"kind": "label_studio", "label_studio": {"server": {}}})

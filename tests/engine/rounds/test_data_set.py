"""Which photos are on which side of a round's split."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rounds.data_set import TRAIN, VALIDATION, split
from model.errors import ConfigurationError
from pipelines.joins import IndexedPhoto, JoinIndex
from stages.joining import JoinParameters
from tests.engine.rounds.engines import settings_of
from tests.factories import make_ref


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

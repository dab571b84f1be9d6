from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan import LARGEST_SHARD, Plan, default_shard_size, read_plan, read_planned_shard
from pipelines.storage import Folder
from stages.records import ImageRef
from tests.factories import make_ref


def make_refs(count: int, first: int = 0) -> list[ImageRef]:
    return [make_ref(f"{number:06d}.jpg") for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("photos", "size"), [(1, 2), (12, 2), (100, 7), (1024, 64), (16_384, 64), (10**6, 256)]
)
def test_shards_are_of_64_to_256_photos_and_smaller_where_there_are_few(
    photos: int, size: int
) -> None:
    assert default_shard_size(photos) == size


@given(photos=st.integers(1, 10**7))
def test_a_default_shard_is_never_empty_nor_too_large(photos: int) -> None:
    assert 1 <= default_shard_size(photos) <= LARGEST_SHARD


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=4), shard_size=st.integers(1, 12))
def test_every_photo_is_in_one_shard_and_shards_count_without_gaps(
    counts: list[int], shard_size: int
) -> None:
    plan, first = Plan.empty(), 0
    for count in counts:
        plan = plan.extended(make_refs(count, first), shard_size=shard_size)
        first += count
    assert plan.photos == plan.rows == sum(counts)
    assert len(plan.rows_in_shards()) == plan.shards
    assert all(1 <= rows <= shard_size for rows in plan.rows_in_shards())
    assert sum(plan.rows_in_shards()) == plan.rows
    assert plan.first_shards(plan.shards).table.equals(plan.table)


def test_a_plan_is_read_back_and_its_shards_alone(tmp_path: Path) -> None:
    run, refs = Folder(str(tmp_path)), make_refs(10)
    plan = Plan.empty().extended(refs, shard_size=4).extended(refs[:1], shard_size=4, revision=1)
    plan.write(run)
    assert read_plan(run) == plan
    assert [image.ref for image in read_planned_shard(run, 1)] == refs[4:8]
    (again,) = read_planned_shard(run, 3)
    assert (again.ref, again.revision) == (refs[0], 1)
    assert (plan.photos, plan.rows, plan.shards) == (10, 11, 4)


def test_a_shard_of_a_large_plan_is_found_by_statistics(tmp_path: Path) -> None:
    plan = Plan.empty().extended(make_refs(9000), shard_size=64)
    plan.write(Folder(str(tmp_path)))
    metadata = pq.read_metadata(tmp_path / "plan.parquet")
    assert metadata.num_row_groups == 3
    shards = metadata.row_group(0).column(4)
    assert (shards.statistics.min, shards.statistics.max) == (0, 63)


def test_the_input_digest_is_of_the_photos_and_nothing_else() -> None:
    refs = make_refs(6)
    plan = Plan.empty().extended(refs, shard_size=2)
    assert plan.input_digest() == Plan.empty().extended(refs[::-1], shard_size=5).input_digest()
    assert plan.input_digest() == plan.extended(refs, shard_size=2, revision=1).input_digest()
    assert plan.input_digest() != Plan.empty().extended(refs[1:], shard_size=2).input_digest()


def test_of_photos_tried_again_the_latest_try_is_selected() -> None:
    refs = make_refs(3)
    plan = Plan.empty().extended(refs, shard_size=3).extended(refs[1:2], shard_size=3, revision=1)
    selected = plan.select([refs[1].image_id, refs[2].image_id])
    assert [(image.ref, image.revision) for image in selected] == [(refs[1], 1), (refs[2], 0)]
    assert plan.select([]) == []

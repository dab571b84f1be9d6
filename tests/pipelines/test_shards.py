from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco_mask

from model.errors import ConfigurationError
from pipelines.imported import write_imported_run
from pipelines.run_folder import shard_name, shard_path
from pipelines.shards import ROWS_A_GROUP, read_rows, write_shard
from pipelines.storage import Folder
from stages import rle
from stages.records import ImageRef, ImageRow
from tests.factories import make_failed_row, make_photo_bytes, make_ref, make_row
from tests.pipelines.runs import Recorder


def make_rows(count: int, **fields: object) -> list[ImageRow]:
    return [make_row(f"{number:03d}.jpg", **fields) for number in range(count)]


def write(run: Path, rows: list[ImageRow], *, index: int = 0, with_images: bool = False) -> Path:
    name = shard_path(index, index + 1)
    write_shard(Folder(str(run)), name, rows, configuration_digest="d", with_images=with_images)
    return run / name


def test_names_say_place_and_number() -> None:
    assert shard_path(12, 64) == "shards/part-00012-of-00064.parquet"
    assert [shard_name(i, (2, 3)) for i in range(3)] == [
        "shards/part-00000-of-00002.parquet",
        "shards/part-00001-of-00002.parquet",
        "shards/part-00002-of-00003.parquet",
    ]


def test_rows_are_read_back_equal(tmp_path: Path) -> None:
    rows = [*make_rows(20), make_failed_row()]
    write(tmp_path, rows)
    assert list(read_rows(str(tmp_path))) == rows


def test_photos_are_read_back_where_they_were_kept(tmp_path: Path) -> None:
    rows = make_rows(5, image=make_photo_bytes())
    write(tmp_path, rows, with_images=True)
    assert list(read_rows(str(tmp_path))) == rows


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, make_rows(40)).read_bytes() for name in ("a", "b"))
    assert one == two


def test_one_photo_is_found_by_statistics_and_read_without_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, make_rows(40))
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(g).num_rows for g in range(3)] == [ROWS_A_GROUP, ROWS_A_GROUP, 8]
    column = metadata.row_group(0).column(0)
    assert column.path_in_schema == "image_id"
    assert column.compression == "ZSTD"
    assert column.statistics.has_min_max
    assert column.has_column_index
    assert column.has_offset_index


def test_a_few_columns_can_be_read_alone(tmp_path: Path) -> None:
    write(tmp_path, make_rows(3))
    rows = list(read_rows(str(tmp_path), columns=["dropped"]))
    assert [row.masks for row in rows] == [()] * 3
    assert rows[0].dropped == make_row().dropped
    with pytest.raises(ConfigurationError, match="no column mask in a shard; there are image_id"):
        list(read_rows(str(tmp_path), columns=["mask"]))


def test_of_each_photo_the_latest_revision_is_read(tmp_path: Path) -> None:
    write(tmp_path, make_rows(3))
    newer = make_row("001.jpg", revision=2, masks=())
    write(tmp_path, [newer], index=1)
    write(tmp_path, [make_row("001.jpg", revision=1)], index=2)
    rows = list(read_rows(str(tmp_path)))
    assert [(row.ref.path, row.revision) for row in rows] == [
        ("000.jpg", 0),
        ("002.jpg", 0),
        ("001.jpg", 2),
    ]


def test_reading_no_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no shards in it.*--out"):
        list(read_rows(str(tmp_path)))


def test_duckdb_reads_shards_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, make_rows(3))
    found = duckdb.sql(
        f"select path, len(masks), masks[1].area, stage from '{tmp_path}/shards/*.parquet'"
    ).fetchall()
    assert found == [(f"{n:03d}.jpg", 1, 80, "automatic") for n in range(3)]


def test_pycocotools_takes_segmentations_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, make_rows(1))
    segmentation = pq.read_table(path)["masks"][0].as_py()[0]["segmentation"]
    decoded = coco_mask.decode(segmentation)
    (row,) = make_rows(1)
    assert (decoded == rle.decode(row.masks[0].segmentation)).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_datasets_library_reads_shards_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    import datasets

    write(tmp_path, make_rows(3, image=make_photo_bytes()), with_images=True)
    loaded = datasets.load_dataset(
        "parquet",
        data_files=f"{tmp_path}/shards/*.parquet",
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert len(loaded) == 3
    assert loaded[0]["image"].size == (64, 48)
    assert loaded[0]["masks"][0]["segmentation"]["size"] == [48, 64]
    assert loaded[0]["stage"] == "automatic"


def test_imported_rows_become_a_run_that_resumes(tmp_path: Path) -> None:
    refs = [make_ref(f"{number}.jpg") for number in range(5)]
    asked: list[str] = []

    def row_of(ref: ImageRef) -> ImageRow:
        asked.append(ref.path)
        return make_row(ref=ref, stage="import")

    def write_it(recorder: Recorder) -> int:
        return write_imported_run(
            str(tmp_path),
            refs,
            row_of,
            source="/data/sa1b",
            configuration={"format": "sa1b"},
            shard_size=2,
            progress=recorder,
        ).images

    recorder = Recorder()
    assert write_it(recorder) == 5
    assert [p.rows_done for p in recorder.seen] == [1, 2, 3, 4, 5]
    (tmp_path / "shards/part-00001-of-00003.parquet").unlink()
    asked.clear()
    assert write_it(Recorder()) == 5
    assert asked == ["2.jpg", "3.jpg"]
    assert {row.stage for row in read_rows(str(tmp_path))} == {"import"}

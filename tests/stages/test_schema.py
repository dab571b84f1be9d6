from __future__ import annotations

import io
import json
from dataclasses import fields

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.columns import ENUM, MASK, hugging_face_feature, shard_schema
from stages.records import ImageRow, MaskRecord, PromptRecord
from stages.schema import SCHEMA_VERSION, SHARD_SCHEMA, rows_from_table, rows_to_table
from tests.factories import make_failed_row, make_mask, make_photo_bytes, make_row

EVERYTHING = make_mask(
    prompt=PromptRecord(((1.5, 2.0), (3.0, 4.0)), (1, 0), (0.0, 0.0, 9.0, 9.0), "a cat"),
    origin="human",
    nested_in="0" * 32,
    level="part",
    derived_from="1" * 32,
    category="cat",
    annotator="ann",
    seconds=2.5,
    seconds_from="clicks",
    clicks=3,
    edited_px=40,
)
BARE = make_mask(
    box_xywh=(0, 0, 1, 1),
    predicted_iou=None,
    stability_score=None,
    crop_box=None,
    point_coords=(),
    model_id=None,
    level=None,
    origin="import",
)
ROWS = [
    make_row("a.jpg", masks=(EVERYTHING, BARE), exhaustive=True, round=2, revision=1),
    make_row("folder/ä b.png", image=make_photo_bytes(), masks=(), dropped={}),
    make_failed_row(),
    make_row("c.jpg", stage="import"),
]


def table_of(rows: list[ImageRow], *, with_images: bool = True) -> pa.Table:
    return rows_to_table(rows, configuration_digest="c0ffee", with_images=with_images)


def through_parquet(table: pa.Table) -> pa.Table:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return pq.read_table(io.BytesIO(buffer.getvalue()))


def test_rows_come_back_equal_from_a_table() -> None:
    assert list(rows_from_table(table_of(ROWS))) == ROWS


def test_rows_and_schema_come_back_equal_from_parquet() -> None:
    table = through_parquet(table_of(ROWS))
    assert table.schema.equals(shard_schema("c0ffee"), check_metadata=True)
    assert list(rows_from_table(table)) == ROWS


def test_no_rows_make_an_empty_table_of_the_same_schema() -> None:
    assert table_of([]).schema.equals(table_of(ROWS).schema, check_metadata=True)


def test_photos_stay_out_unless_asked_for() -> None:
    table = table_of(ROWS, with_images=False)
    assert table["image"].null_count == len(ROWS)


def test_an_embedded_photo_carries_its_path() -> None:
    row = table_of(ROWS)["image"][1].as_py()
    assert row == {"bytes": make_photo_bytes(), "path": "folder/ä b.png"}


def test_drops_are_sorted_so_that_bytes_do_not_depend_on_their_order() -> None:
    rows = [make_row(dropped={"b": 1, "a": 2}), make_row(dropped={"a": 2, "b": 1})]
    first, second = table_of(rows)["dropped"].to_pylist()
    assert first == second == [{"reason": "a", "count": 2}, {"reason": "b", "count": 1}]


def test_columns_that_were_not_read_take_their_defaults() -> None:
    table = table_of([make_row(masks=())]).select(
        ["image_id", "path", "width", "height", "sha256", "stage"]
    )
    (row,) = rows_from_table(table)
    assert (row.ref.path, row.masks, row.dropped, row.round) == ("a.jpg", (), {}, 0)


def test_a_number_that_does_not_fit_its_column_is_refused() -> None:
    with pytest.raises((pa.ArrowInvalid, OverflowError)):
        table_of([make_row(round=40_000)])


class TestPinned:
    """Readers of shards rely on every name, type and nullability here."""

    def test_columns(self) -> None:
        assert [(f.name, str(f.type), f.nullable) for f in SHARD_SCHEMA if f.name != "masks"] == [
            ("image_id", "string", False),
            ("source", "string", False),
            ("path", "string", False),
            ("uri", "string", False),
            ("width", "int32", True),
            ("height", "int32", True),
            ("sha256", "string", True),
            ("image", "struct<bytes: binary, path: string>", True),
            ("round", "int16", False),
            ("stage", str(ENUM), False),
            ("revision", "int32", False),
            ("exhaustive", "bool", True),
            (
                "dropped",
                "list<element: struct<reason: string not null, count: int32 not null> not null>",
                False,
            ),
            ("error", "struct<type: string not null, message: string not null>", True),
        ]

    def test_a_mask(self) -> None:
        floats = "list<element: float not null>"
        points = "list<element: list<element: float not null> not null>"
        assert [(f.name, str(f.type), f.nullable) for f in MASK] == [
            ("mask_id", "string", False),
            (
                "segmentation",
                "struct<size: list<element: int32 not null> not null, counts: string not null>",
                False,
            ),
            ("bbox", floats, False),
            ("area", "int64", False),
            ("predicted_iou", "float", True),
            ("stability_score", "float", True),
            ("crop_box", floats, True),
            ("point_coords", points, False),
            (
                "prompt",
                f"struct<points_xy: {points} not null, point_labels: "
                f"list<element: int8 not null> not null, box_xyxy: {floats}, text: string>",
                True,
            ),
            ("origin", str(ENUM), False),
            ("model_id", "string", True),
            ("nested_in", "string", True),
            ("level", str(ENUM), True),
            ("derived_from", "string", True),
            ("category", "string", True),
            ("annotator", "string", True),
            ("seconds", "float", True),
            ("seconds_from", str(ENUM), True),
            ("clicks", "int16", True),
            ("edited_px", "int64", True),
        ]

    def test_list_elements(self) -> None:
        masks = SHARD_SCHEMA.field("masks")
        assert not masks.nullable
        assert masks.type.value_field.equals(pa.field("element", MASK, nullable=False))

    def test_enums_are_dictionary_encoded_strings(self) -> None:
        assert pa.dictionary(pa.int8(), pa.string()) == ENUM

    def test_metadata(self) -> None:
        metadata = table_of(ROWS).schema.metadata
        assert metadata[b"mask_engine.schema_version"] == str(SCHEMA_VERSION).encode() == b"1"
        assert metadata[b"mask_engine.configuration_digest"] == b"c0ffee"
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        assert list(features) == sorted(SHARD_SCHEMA.names)
        assert features["image"] == {"_type": "Image"}
        assert features["stage"] == {"dtype": "string", "_type": "Value"}
        assert features["masks"][0]["bbox"] == [{"dtype": "float32", "_type": "Value"}]


def test_every_field_of_a_mask_has_its_column() -> None:
    assert {field.name for field in fields(MaskRecord)} == {field.name for field in MASK}


def test_hugging_face_feature_of_a_point_list_is_nested() -> None:
    points = hugging_face_feature(pa.field("p", pa.list_(pa.list_(pa.float32()))))
    assert points == [[{"dtype": "float32", "_type": "Value"}]]

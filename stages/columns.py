"""The Arrow schema of a shard: one row is one photo, with all its masks (version 1).

Later versions add columns and never change what one means. Names and types of list elements are
pinned, because readers disagree about their defaults.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1
VERSION_KEY: Final = b"mask_engine.schema_version"
CONFIGURATION_KEY: Final = b"mask_engine.configuration_digest"
FEATURES_KEY: Final = b"huggingface"

# Few distinct values in a known vocabulary: stored once, then as small integers.
ENUM: Final = pa.dictionary(pa.int8(), pa.string())


def _list(element: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", element, nullable=False))


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_POINTS: Final = _list(_list(pa.float32()))

SEGMENTATION: Final = pa.struct(
    [_required("size", _list(pa.int32())), _required("counts", pa.string())]
)

PROMPT: Final = pa.struct(
    [
        _required("points_xy", _POINTS),
        _required("point_labels", _list(pa.int8())),
        pa.field("box_xyxy", _list(pa.float32())),
        pa.field("text", pa.string()),
    ]
)

MASK: Final = pa.struct(
    [
        _required("mask_id", pa.string()),
        _required("segmentation", SEGMENTATION),
        _required("bbox", _list(pa.float32())),
        _required("area", pa.int64()),
        pa.field("predicted_iou", pa.float32()),
        pa.field("stability_score", pa.float32()),
        pa.field("crop_box", _list(pa.float32())),
        _required("point_coords", _POINTS),
        pa.field("prompt", PROMPT),
        _required("origin", ENUM),
        pa.field("model_id", pa.string()),
        pa.field("nested_in", pa.string()),
        pa.field("level", ENUM),
        pa.field("derived_from", pa.string()),
        pa.field("category", pa.string()),
        pa.field("annotator", pa.string()),
        pa.field("seconds", pa.float32()),
        pa.field("seconds_from", ENUM),
        pa.field("clicks", pa.int16()),
        pa.field("edited_px", pa.int64()),
    ]
)

DROPPED: Final = pa.struct([_required("reason", pa.string()), _required("count", pa.int32())])
ERROR: Final = pa.struct([_required("type", pa.string()), _required("message", pa.string())])
IMAGE: Final = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

SHARD_SCHEMA: Final = pa.schema(
    [
        _required("image_id", pa.string()),
        _required("source", pa.string()),
        _required("path", pa.string()),
        _required("uri", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("sha256", pa.string()),
        pa.field("image", IMAGE),
        _required("round", pa.int16()),
        _required("stage", ENUM),
        _required("revision", pa.int32()),
        pa.field("exhaustive", pa.bool_()),
        _required("masks", _list(MASK)),
        _required("dropped", _list(DROPPED)),
        pa.field("error", ERROR),
    ]
)


def shard_schema(configuration_digest: str) -> pa.Schema:
    """`SHARD_SCHEMA` with a file's metadata: version, configuration, Hugging Face features."""
    features = {field.name: hugging_face_feature(field) for field in SHARD_SCHEMA}
    return SHARD_SCHEMA.with_metadata(
        {
            VERSION_KEY: str(SCHEMA_VERSION).encode(),
            CONFIGURATION_KEY: configuration_digest.encode(),
            FEATURES_KEY: json.dumps({"info": {"features": features}}, sort_keys=True).encode(),
        }
    )


def hugging_face_feature(field: pa.Field) -> Any:
    """A field as the `datasets` library describes it; lists as [feature], read by 3 and newer."""
    if field.type == IMAGE:
        return {"_type": "Image"}
    return _feature(field.type)


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [_feature(kind.value_type)]
    if pa.types.is_struct(kind):
        return {child.name: _feature(child.type) for child in kind}
    if pa.types.is_dictionary(kind):
        return _feature(kind.value_type)
    name = {"float": "float32", "double": "float64"}.get(str(kind), str(kind))
    return {"dtype": name, "_type": "Value"}

"""The shard schema in use: records to Arrow tables and back, exactly.

Scores and coordinates are stored as float32; records that this package makes hold such numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from stages.columns import SCHEMA_VERSION, SHARD_SCHEMA, shard_schema
from stages.records import (
    Box,
    ErrorRecord,
    ImageRef,
    ImageRow,
    MaskRecord,
    Point,
    PromptRecord,
)
from stages.rle import Rle

__all__ = [
    "SCHEMA_VERSION",
    "SHARD_SCHEMA",
    "mask_from_dict",
    "mask_to_dict",
    "rows_from_table",
    "rows_to_table",
    "shard_schema",
]

_SCALARS_OF_MASK = (
    "mask_id",
    "area",
    "origin",
    "predicted_iou",
    "stability_score",
    "model_id",
    "nested_in",
    "level",
    "derived_from",
    "category",
    "annotator",
    "seconds",
    "seconds_from",
    "clicks",
    "edited_px",
)
_SCALARS_OF_ROW = (
    "stage",
    "width",
    "height",
    "sha256",
    "round",
    "revision",
    "exhaustive",
)


def rows_to_table(
    rows: Sequence[ImageRow], *, configuration_digest: str, with_images: bool
) -> pa.Table:
    """Builds a shard's table, rows in the order given.

    Args:
        rows: one for each photo.
        configuration_digest: of the run; part of the file's metadata.
        with_images: whether the photos' bytes are written where rows carry them.

    Raises:
        pyarrow.ArrowInvalid: if a value does not fit its column.
    """
    dicts = [_row_to_dict(row, with_images=with_images) for row in rows]
    return pa.Table.from_pylist(dicts, schema=shard_schema(configuration_digest))


def rows_from_table(table: pa.Table) -> Iterator[ImageRow]:
    """Yields the rows of a shard; columns that were not read take their defaults."""
    for batch in table.to_batches(max_chunksize=16):
        for values in batch.to_pylist():
            yield _row_from_dict(values)


def _row_to_dict(row: ImageRow, *, with_images: bool) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _SCALARS_OF_ROW}
    values |= {name: getattr(row.ref, name) for name in ("image_id", "source", "path", "uri")}
    if with_images and row.image is not None:
        values["image"] = {"bytes": row.image, "path": row.ref.path}
    values["masks"] = [mask_to_dict(mask) for mask in row.masks]
    values["dropped"] = [{"reason": r, "count": c} for r, c in sorted(row.dropped.items())]
    if row.error is not None:
        values["error"] = {"type": row.error.type, "message": row.error.message}
    return values


def mask_to_dict(mask: MaskRecord) -> dict[str, Any]:
    """A mask as plain values, as they stand in a shard."""
    values = {name: getattr(mask, name) for name in _SCALARS_OF_MASK}
    values["segmentation"] = {
        "size": mask.segmentation.size_hw,
        "counts": mask.segmentation.counts,
    }
    values["bbox"] = mask.bbox
    values["crop_box"] = mask.crop_box
    values["point_coords"] = mask.point_coords
    values["prompt"] = None if mask.prompt is None else _prompt_to_dict(mask.prompt)
    return values


def _prompt_to_dict(prompt: PromptRecord) -> dict[str, Any]:
    names = ("points_xy", "point_labels", "box_xyxy", "text")
    return {name: getattr(prompt, name) for name in names}


def _row_from_dict(values: Mapping[str, Any]) -> ImageRow:
    ref = ImageRef(*(values.get(name) or "" for name in ("image_id", "source", "path", "uri")))
    image, error = values.get("image"), values.get("error")
    scalars = {name: values[name] for name in _SCALARS_OF_ROW if name in values}
    return ImageRow(
        ref,
        image=image and image["bytes"],
        masks=tuple(mask_from_dict(mask) for mask in values.get("masks") or ()),
        dropped={item["reason"]: item["count"] for item in values.get("dropped") or ()},
        error=error and ErrorRecord(error["type"], error["message"]),
        **scalars,
    )


def mask_from_dict(values: Mapping[str, Any]) -> MaskRecord:
    """Reads what `mask_to_dict` gave, also after it was JSON."""
    height, width = values["segmentation"]["size"]
    return MaskRecord(
        segmentation=Rle((height, width), values["segmentation"]["counts"]),
        bbox=_box(values["bbox"]),
        crop_box=values["crop_box"] and _box(values["crop_box"]),
        point_coords=_points(values["point_coords"]),
        prompt=values["prompt"] and _prompt_from_dict(values["prompt"]),
        **{name: values[name] for name in _SCALARS_OF_MASK},
    )


def _prompt_from_dict(values: Mapping[str, Any]) -> PromptRecord:
    return PromptRecord(
        points_xy=_points(values["points_xy"]),
        point_labels=tuple(values["point_labels"]),
        box_xyxy=values["box_xyxy"] and _box(values["box_xyxy"]),
        text=values["text"],
    )


def _box(values: Sequence[float]) -> Box:
    left, top, third, fourth = values
    return left, top, third, fourth


def _points(values: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    return tuple((x, y) for x, y in values)

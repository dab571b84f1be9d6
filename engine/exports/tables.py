"""The two tables beside every export: which number is which photo, and which mask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stages.records import ImageRow, MaskRecord

IMAGES_FILE: Final = "images.parquet"
MASKS_FILE: Final = "masks.parquet"
ROWS_HELD: Final = 4096

IMAGE_COLUMNS: Final = pa.schema(
    [
        ("image_number", pa.int64()),
        ("image_id", pa.string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("file_name", pa.string()),
        ("error", pa.string()),
    ]
)
MASK_COLUMNS: Final = pa.schema(
    [
        ("mask_number", pa.int64()),
        ("image_number", pa.int64()),
        ("mask_id", pa.string()),
        ("nested_in", pa.string()),
        ("level", pa.string()),
        ("origin", pa.string()),
        ("model_id", pa.string()),
        ("annotator", pa.string()),
    ]
)


class NumberTables:
    """Writes both tables as the export goes, a few thousand rows held at most."""

    def __init__(self, images: pq.ParquetWriter, masks: pq.ParquetWriter) -> None:
        self._images = _Buffered(images, IMAGE_COLUMNS)
        self._masks = _Buffered(masks, MASK_COLUMNS)

    def image(self, number: int, row: ImageRow, file_name: str | None) -> None:
        """Notes a photo, and the name its file has in the export, if it is there."""
        values = {name: getattr(row.ref, name) for name in ("image_id", "source", "path")}
        error = row.error.type if row.error else None
        self._images.add(
            values
            | {
                "image_number": number,
                "sha256": row.sha256,
                "file_name": file_name,
                "error": error,
            }
        )

    def mask(self, number: int, image_number: int, mask: MaskRecord) -> None:
        """Notes a mask that the export holds."""
        values = {name: getattr(mask, name) for name in MASK_COLUMNS.names[2:]}
        self._masks.add(values | {"mask_number": number, "image_number": image_number})

    def close(self) -> None:
        """Writes what is held."""
        self._images.flush()
        self._masks.flush()


@contextmanager
def number_tables(folder: Path) -> Iterator[NumberTables]:
    """Both tables in an export's folder, complete when the block ends."""
    with ExitStack() as stack:
        images = stack.enter_context(pq.ParquetWriter(folder / IMAGES_FILE, IMAGE_COLUMNS))
        masks = stack.enter_context(pq.ParquetWriter(folder / MASKS_FILE, MASK_COLUMNS))
        tables = NumberTables(images, masks)
        yield tables
        tables.close()


class _Buffered:
    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_HELD:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()

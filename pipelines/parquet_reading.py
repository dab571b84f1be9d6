"""Reads Parquet files in the thread that asks for it, and in no other.

Arrow's own threads, of which readahead and `use_threads` each start some, may still hold the Python
file or bytes that it gave when they have answered. One that lets go of them while the interpreter
ends aborts the process, after the work is done and on busy machines mostly (apache/arrow#33975).
What is read here is a small table or a row group of a few photos: more threads would save nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


class ParquetReader:
    """The row groups of an open file.

    Attributes:
        names: of the columns, in the file's order.
        groups: numbers of the row groups.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._parquet = pq.ParquetFile(file, pre_buffer=False)
        self._metadata = self._parquet.metadata
        self.names: list[str] = self._parquet.schema_arrow.names
        self.groups = range(self._parquet.num_row_groups)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._parquet.close()

    def read_group(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """A row group, or some columns of it."""
        return self.read([group], columns)

    def read(
        self, groups: Sequence[int] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Row groups, all by default, or some columns of them."""
        wanted = self.groups if groups is None else groups
        names = None if columns is None else list(columns)
        return self._parquet.read_row_groups(list(wanted), columns=names, use_threads=False)

    def groups_with(self, name: str, value: Any) -> list[int]:
        """Row groups that may hold a value in a column, as far as statistics tell."""
        return [
            group
            for group, known in zip(self.groups, self.statistics(name), strict=True)
            if known is None or not known.has_min_max or known.min <= value <= known.max
        ]

    def statistics(self, name: str) -> list[Any]:
        """What each row group knows of a column (Arrow's `Statistics`); None if nothing."""
        paths = [self._metadata.schema.column(k).path for k in range(self._metadata.num_columns)]
        place = paths.index(name)
        return [self._metadata.row_group(group).column(place).statistics for group in self.groups]


def read_table(
    file: BinaryIO,
    *,
    columns: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
    where: tuple[str, Any] | None = None,
) -> pa.Table:
    """The table of an open file.

    Args:
        file: closed by whoever opened it.
        columns: all by default.
        schema: what the table is to be like: a column that an older file lacks is null.
        where: a column and its value; other rows are left out, and row groups without it not read.
    """
    with ParquetReader(file) as parquet:
        if where is None:
            table = parquet.read(columns=columns)
        else:
            name, value = where
            read = None if columns is None else list(dict.fromkeys([*columns, name]))
            table = parquet.read(parquet.groups_with(name, value), read)
            table = table.filter(pc.equal(table[name], pa.scalar(value, table[name].type)))
    if schema is not None:
        return _like(table, schema)
    return table if columns is None else table.select(list(columns))


def _like(table: pa.Table, schema: pa.Schema) -> pa.Table:
    there = set(table.column_names)
    columns = [
        table[field.name].cast(field.type)
        if field.name in there
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)

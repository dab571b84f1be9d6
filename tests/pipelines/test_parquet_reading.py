from __future__ import annotations

import io
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.parquet_reading import ParquetReader, read_table

COLUMNS = tuple("abcdefgh")


class WatchedFile(io.BytesIO):
    """Remembers who read it, and what it gave."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.readers: set[int] = set()
        self.given: list[bytes] = []

    def read(self, size: int | None = -1) -> bytes:
        self.readers.add(threading.get_ident())
        self.given.append(bytes(bytearray(super().read(size))))
        return self.given[-1]


def file_of(rows: int = 12) -> WatchedFile:
    buffer = io.BytesIO()
    values = [f"{number:04d}" for number in range(rows)]
    table = pa.table(dict.fromkeys(COLUMNS, values))
    pq.write_table(table, buffer, compression="zstd", row_group_size=4)
    return WatchedFile(buffer.getvalue())


def read_groups(file: WatchedFile) -> int:
    with ParquetReader(file) as parquet:
        return sum(parquet.read_group(group).num_rows for group in parquet.groups)


@pytest.mark.parametrize(
    "read",
    [
        read_groups,
        lambda file: read_table(file, columns=["a", "c"]).num_rows,
        lambda file: 11 + read_table(file, where=("b", "0005")).num_rows,
    ],
)
def test_no_other_thread_reads_the_file_or_holds_anything_of_it_afterwards(read) -> None:
    for _ in range(5):
        file = file_of()
        held = sys.getrefcount(file)
        assert read(file) == 12
        assert sys.getrefcount(file) == held
        assert file.readers == {threading.get_ident()}
        held_by_lists_only = [bytes(9)]
        assert {*map(sys.getrefcount, file.given)} == {*map(sys.getrefcount, held_by_lists_only)}


def test_row_groups_without_the_value_are_not_read() -> None:
    whole, some = file_of(400), file_of(400)
    read_table(whole)
    found = read_table(some, columns=["a"], where=("b", "0042"))
    assert found.to_pydict() == {"a": ["0042"]}
    assert sum(map(len, some.given)) < sum(map(len, whole.given)) - 80 * len(COLUMNS)
    assert read_table(file_of(), where=("b", "none")).num_rows == 0


def test_a_column_that_an_older_file_lacks_is_null() -> None:
    schema = pa.schema([pa.field("a", pa.large_string(), nullable=False), ("new", pa.int64())])
    table = read_table(file_of(1), schema=schema)
    assert table.schema.equals(schema)
    assert table.to_pylist() == [{"a": "0000", "new": None}]

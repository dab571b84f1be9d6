"""Reads a small Parquet file whole, in the thread that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(
    file: BinaryIO,
    *,
    columns: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
    filters: Any = None,
) -> pa.Table:
    """The table of an open file, as `pyarrow.parquet.read_table` gives it.

    Threads of Arrow's own may still hold the Python file when it has returned; one that lets go of
    it while the interpreter ends aborts the process, after the work is done and on busy machines
    only. For what is read whole here, more threads would save nothing.
    """
    return pq.read_table(
        file, columns=columns, schema=schema, filters=filters, use_threads=False, pre_buffer=False
    )

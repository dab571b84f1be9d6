"""Shard files: written whole and always with the same bytes, read back row by row."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import ConfigurationError
from pipelines.parquet_reading import ParquetReader
from pipelines.run_folder import SHARDS, shard_path
from pipelines.storage import Folder
from stages.records import ImageRow
from stages.schema import SHARD_SCHEMA, rows_from_table, rows_to_table, shard_schema

__all__ = ["read_rows", "shard_path", "write_rows", "write_shard"]

# A reader that wants one photo's masks fetches one row group, not the file.
ROWS_A_GROUP: Final = 16
ROWS_A_GROUP_WITH_IMAGES: Final = 4
_ALWAYS_READ: Final = frozenset(
    {"image_id", "source", "path", "uri", "width", "height", "sha256", "stage", "revision", "error"}
)


def write_shard(
    run: Folder,
    name: str,
    rows: Iterable[ImageRow],
    *,
    configuration_digest: str,
    with_images: bool = False,
) -> int:
    """Writes a shard that is there whole or not at all; returns its number of rows.

    Rows are taken as they come and never held but for one row group.

    Args:
        run: the run's folder.
        name: as `shard_path` gives it.
        rows: one for each photo, in the shard's order.
        configuration_digest: part of the file's metadata.
        with_images: whether photos that rows carry are written.

    Raises:
        StopError: if the disk is full.
        ShardError: if it cannot be written for another reason.
    """
    with run.writing(name) as file:
        written = write_rows(
            file, rows, configuration_digest=configuration_digest, with_images=with_images
        )
    return written.rows


@dataclass
class Written:
    """What went into a file so far: rows, and the seconds that encoding them took."""

    rows: int = 0
    encode_seconds: float = 0.0


def write_rows(
    file: BinaryIO, rows: Iterable[ImageRow], *, configuration_digest: str, with_images: bool
) -> Written:
    """Writes rows as Parquet, one row group being encoded while the next one's rows are made."""
    size = ROWS_A_GROUP_WITH_IMAGES if with_images else ROWS_A_GROUP
    remaining, written = iter(rows), Written()

    def encode(group: Sequence[ImageRow]) -> None:
        started = time.perf_counter()
        table = rows_to_table(
            group, configuration_digest=configuration_digest, with_images=with_images
        )
        writer.write_table(table, row_group_size=size)
        written.encode_seconds += time.perf_counter() - started

    with (
        _parquet_writer(file, configuration_digest) as writer,
        ThreadPoolExecutor(1, thread_name_prefix="encode") as behind,
    ):
        encoding: deque[Future[None]] = deque()
        while group := list(islice(remaining, size)):
            if encoding:
                encoding.popleft().result()
            encoding.append(behind.submit(encode, group))
            written.rows += len(group)
        for last in encoding:
            last.result()
    return written


def _parquet_writer(file: BinaryIO, configuration_digest: str) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        shard_schema(configuration_digest),
        compression="zstd",
        write_page_index=True,
    )


def read_rows(run: str, *, columns: Sequence[str] | None = None) -> Iterator[ImageRow]:
    """The rows of a run, each photo once: the latest revision of it.

    Reads a row group at a time, so memory does not grow with the run.

    Args:
        run: address of the run's folder.
        columns: what to read besides what a row cannot be without; `masks` and `image` are the
            large ones. All by default.

    Raises:
        ConfigurationError: if there is no run, or a column is not in the schema.
    """
    folder = Folder(run)
    names = [f"{SHARDS}/{name}" for name in folder.names(SHARDS) if name.endswith(".parquet")]
    if not names:
        raise ConfigurationError(
            f"{run}: no shards in it, so there is nothing to read. Give the folder that "
            "`mask-engine auto --out` or `mask-engine import --out` wrote."
        )
    wanted = _columns(columns)
    latest = _latest_revisions(folder, names)
    for name in names:
        with folder.open(name) as file:
            for row in _rows_of_file(file, wanted):
                if row.revision >= latest.get(row.ref.image_id, 0):
                    yield row


def _columns(columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    unknown = sorted(set(columns) - set(SHARD_SCHEMA.names))
    if unknown:
        raise ConfigurationError(
            f"no column {', '.join(unknown)} in a shard; there are {', '.join(SHARD_SCHEMA.names)}"
        )
    return [name for name in SHARD_SCHEMA.names if name in _ALWAYS_READ.union(columns)]


def _rows_of_file(file: BinaryIO, columns: list[str] | None) -> Iterator[ImageRow]:
    with ParquetReader(file) as parquet:
        for group in parquet.groups:
            yield from rows_from_table(parquet.read_group(group, columns=columns))


def _latest_revisions(run: Folder, names: Sequence[str]) -> dict[str, int]:
    """Highest revision of each photo that has one above 0; most shards answer by statistics."""
    latest: dict[str, int] = {}
    for name in names:
        with run.open(name) as file, ParquetReader(file) as parquet:
            if not _may_hold_revisions(parquet):
                continue
            table: pa.Table = parquet.read(columns=["image_id", "revision"])
        for image, revision in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if revision > latest.get(image, 0):
                latest[image] = revision
    return latest


def _may_hold_revisions(parquet: ParquetReader) -> bool:
    return any(known is None or known.max > 0 for known in parquet.statistics("revision"))

"""What people answered, kept as it came: one file for each shard that is made from it.

A shard made from kept answers is the same whenever and however often it is made, whatever becomes
of the server meanwhile. What an answer says is for others to read; here it is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.parquet_reading import ParquetReader, read_table
from pipelines.storage import Folder
from stages.records import ImageRef

ANSWERS: Final = "answers"
SENT_FILE: Final = "sent.parquet"
# A row group is what is in memory at once; one answer may hold megabytes of masks.
ROWS_A_GROUP: Final = 4
_REF_FIELDS: Final = [
    pa.field(name, pa.string(), nullable=False) for name in ("image_id", "source", "path", "uri")
]
_SENT_SCHEMA: Final = pa.schema(
    [
        *_REF_FIELDS,
        pa.field("address", pa.string(), nullable=False),
        pa.field("confirmed", pa.bool_(), nullable=False),
        pa.field("task", pa.int64()),
    ]
)
_SCHEMA: Final = pa.schema(
    [
        *_REF_FIELDS,
        pa.field("revision", pa.int32(), nullable=False),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("content", pa.large_string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Answer:
    """What people gave for one photo, at one time.

    Attributes:
        ref: the photo.
        revision: counts from 0, one more each time that the answer is another.
        fingerprint: equal for equal answers.
        content: all of it, as text.
    """

    ref: ImageRef
    revision: int
    fingerprint: str
    content: str


@dataclass(frozen=True)
class SentPhoto:
    """A photo that people were asked about.

    Attributes:
        ref: the photo.
        address: what stood in its task.
        confirmed: whether its task was seen on the server; else sending broke off before.
        task: its number there, as it was seen last.
    """

    ref: ImageRef
    address: str
    confirmed: bool
    task: int | None = None


@dataclass(frozen=True)
class Kept:
    """Where the latest answer about a photo is kept."""

    revision: int
    fingerprint: str
    shard: int


def write_answers(run: Folder, shard: int, answers: Sequence[Answer]) -> None:
    """Keeps the answers that a shard will be made from, all of them or none."""
    _write(run, answers_path(shard), answers)


def _write(run: Folder, name: str, answers: Sequence[Answer]) -> None:
    with (
        run.writing(name) as file,
        pq.ParquetWriter(file, _SCHEMA, compression="zstd") as out,
    ):
        for first in range(0, len(answers), ROWS_A_GROUP):
            rows = [_as_row(answer) for answer in answers[first : first + ROWS_A_GROUP]]
            out.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))


def read_answers(run: Folder, shard: int) -> Mapping[str, Answer]:
    """The answers of a shard by image id, read from the file when they are asked for."""
    return _LazyAnswers(run, shard)


def kept_answers(run: Folder, shards: int) -> dict[str, Kept]:
    """The latest answer of each photo; only small columns are read.

    Args:
        run: the run's folder.
        shards: how many were planned; files behind them are leftovers of a broken collection.
    """
    latest: dict[str, Kept] = {}
    columns = ["image_id", "revision", "fingerprint"]
    for shard in range(shards):
        with run.open(answers_path(shard)) as file:
            table = read_table(file, columns=columns)
        for row in table.to_pylist():
            known = latest.get(row["image_id"])
            if known is None or row["revision"] > known.revision:
                latest[row["image_id"]] = Kept(row["revision"], row["fingerprint"], shard)
    return latest


def blank_answers(run: Folder, image_id: str, content: str) -> None:
    """Puts a content in place of every answer about a photo, whichever shards they are kept for."""
    for name in run.names(ANSWERS):
        with run.open(f"{ANSWERS}/{name}") as file:
            found = read_table(file, columns=["content"], where=("image_id", image_id))
        if set(found["content"].to_pylist()) - {content}:
            with run.open(f"{ANSWERS}/{name}") as file:
                table = read_table(file, schema=_SCHEMA)
            answers = [_from_row(row) for row in table.to_pylist()]
            _write(
                run,
                f"{ANSWERS}/{name}",
                [replace(a, content=content) if a.ref.image_id == image_id else a for a in answers],
            )


def write_sent(run: Folder, photos: Iterable[SentPhoto]) -> None:
    """Remembers which photos were sent, so that answers about them can be told from others."""
    rows = [
        _ref_columns(photo.ref)
        | {"address": photo.address, "confirmed": photo.confirmed, "task": photo.task}
        for photo in photos
    ]
    with run.writing(SENT_FILE) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SENT_SCHEMA), file, compression="zstd")


def read_sent(run: Folder) -> dict[str, SentPhoto]:
    """The photos that were sent, by id; none before the first time."""
    if not run.exists(SENT_FILE):
        return {}
    with run.open(SENT_FILE) as file:
        rows = read_table(file, schema=_SENT_SCHEMA).to_pylist()
    return {
        row["image_id"]: SentPhoto(_ref_of(row), row["address"], row["confirmed"], row["task"])
        for row in rows
    }


def answers_path(shard: int) -> str:
    """Name of a file of answers in its run's folder."""
    return f"{ANSWERS}/part-{shard:05d}.parquet"


class _LazyAnswers(Mapping[str, Answer]):
    """Answers by image id, a row group of them in memory at a time."""

    def __init__(self, run: Folder, shard: int) -> None:
        self._run, self._shard = run, shard
        with run.open(answers_path(shard)) as file:
            ids = read_table(file, columns=["image_id"])["image_id"].to_pylist()
        self._places = {image: place for place, image in enumerate(ids)}
        self._group: tuple[int, list[Answer]] = (-1, [])

    def __getitem__(self, image_id: str) -> Answer:
        number, within = divmod(self._places[image_id], ROWS_A_GROUP)
        if self._group[0] != number:
            self._group = (-1, [])
            with self._run.open(answers_path(self._shard)) as file, ParquetReader(file) as parquet:
                rows = parquet.read_group(number).to_pylist()
            self._group = (number, [_from_row(row) for row in rows])
        return self._group[1][within]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _as_row(answer: Answer) -> dict[str, object]:
    return _ref_columns(answer.ref) | {
        "revision": answer.revision,
        "fingerprint": answer.fingerprint,
        "content": answer.content,
    }


def _from_row(row: Mapping[str, Any]) -> Answer:
    return Answer(_ref_of(row), row["revision"], row["fingerprint"], row["content"])


def _ref_columns(ref: ImageRef) -> dict[str, object]:
    return {"image_id": ref.image_id, "source": ref.source, "path": ref.path, "uri": ref.uri}


def _ref_of(row: Mapping[str, Any]) -> ImageRef:
    return ImageRef(row["image_id"], row["source"], row["path"], row["uri"])

"""The plan: which photo goes to which shard, settled before any work and kept as a table.

A plan only grows. Photos added later (`--append`) and photos tried again (`--retry-failed`) get
shards of their own behind the old ones, so what is finished is never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.parquet_reading import read_table
from pipelines.storage import Folder
from stages.records import ImageRef

PLAN_FILE: Final = "plan.parquet"
PLAN_SCHEMA: Final = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
    ]
)
ROW_GROUP_ROWS: Final = 4096
SMALLEST_SHARD, USUAL_SHARD, LARGEST_SHARD = 2, 64, 256


@dataclass(frozen=True)
class PlannedImage:
    """One row to be made: a photo, and which try of it this is."""

    ref: ImageRef
    revision: int


def default_shard_size(photos: int) -> int:
    """Photos a shard: 64 to 256, fewer where there are few, so that every worker gets some.

    It depends on nothing but the number of photos, so that the same photos give the same shards
    however many workers make them.
    """
    few = max(SMALLEST_SHARD, ceil(photos / 16))
    many = max(USUAL_SHARD, ceil(photos / 256))
    return min(few, many, LARGEST_SHARD)


@dataclass(frozen=True)
class Plan:
    """Every row that a run will hold, in the order of its shards.

    Attributes:
        table: as `PLAN_SCHEMA` says, ascending by shard.
    """

    table: pa.Table

    @classmethod
    def empty(cls) -> Plan:
        """A plan of nothing yet."""
        return cls(PLAN_SCHEMA.empty_table())

    @property
    def rows(self) -> int:
        """Rows in all shards: photos, and tries again."""
        return int(self.table.num_rows)

    @property
    def shards(self) -> int:
        """Number of shards; they count from 0 without gaps."""
        return 0 if not self.rows else int(self.table["shard"][-1].as_py()) + 1

    @property
    def photos(self) -> int:
        """Photos, each counted once."""
        return int(pc.sum(pc.equal(self.table["revision"], 0)).as_py() or 0)

    def extended(self, refs: Sequence[ImageRef], *, shard_size: int, revision: int = 0) -> Plan:
        """The plan with new shards behind its last one."""
        first = self.shards
        more = pa.table(
            {
                "image_id": [ref.image_id for ref in refs],
                "source": [ref.source for ref in refs],
                "path": [ref.path for ref in refs],
                "uri": [ref.uri for ref in refs],
                "shard": [first + place // shard_size for place in range(len(refs))],
                "revision": [revision] * len(refs),
            },
            schema=PLAN_SCHEMA,
        )
        return Plan(pa.concat_tables([self.table, more]))

    def first_shards(self, count: int) -> Plan:
        """The plan of the first shards; a manifest says how many of them count."""
        return Plan(self.table.filter(pc.less(self.table["shard"], count)))

    def rows_in_shards(self) -> list[int]:
        """Rows of each shard."""
        counted = self.table.group_by("shard").aggregate([([], "count_all")])
        counted = counted.sort_by("shard")
        return [int(count) for count in counted["count_all"].to_pylist()]

    def input_digest(self) -> str:
        """32 hex digits over the photos' ids and addresses: equal for equal input lists."""
        first_tries = self.table.filter(pc.equal(self.table["revision"], 0)).sort_by("image_id")
        state = hashlib.blake2b(digest_size=16)
        for name in ("image_id", "uri"):
            state.update("\0".join(first_tries[name].to_pylist()).encode())
        return state.hexdigest()

    def image_ids(self) -> set[str]:
        """Ids of all photos."""
        return set(self.table["image_id"].to_pylist())

    def select(self, image_ids: Sequence[str]) -> list[PlannedImage]:
        """The latest try of each of these photos, in the plan's order."""
        wanted = self.table.filter(
            pc.is_in(self.table["image_id"], pa.array(image_ids, pa.string()))
        )
        latest = {image.ref.image_id: image for image in _planned(wanted)}
        return list(latest.values())

    def write(self, run: Folder) -> None:
        """Writes the plan into a run's folder, whole."""
        buffer = BytesIO()
        pq.write_table(self.table, buffer, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        run.write(PLAN_FILE, buffer.getvalue())


def read_plan(run: Folder) -> Plan:
    """The plan of a run.

    Raises:
        FileNotFoundError: if the folder holds none.
    """
    with run.open(PLAN_FILE) as file:
        return Plan(read_table(file, schema=PLAN_SCHEMA))


def read_planned_shard(run: Folder, shard: int) -> list[PlannedImage]:
    """The rows planned for one shard, in order; reads only the row groups that hold it."""
    with run.open(PLAN_FILE) as file:
        table = read_table(file, schema=PLAN_SCHEMA, where=("shard", shard))
    return _planned(table)


def shards_of(run: Folder, image_id: str) -> list[int]:
    """Shards that a photo has a row in, or will have one, ascending; reads little of the plan."""
    with run.open(PLAN_FILE) as file:
        table = read_table(file, columns=["shard"], where=("image_id", image_id))
    return sorted(set(table["shard"].to_pylist()))


def _planned(table: pa.Table) -> list[PlannedImage]:
    return [
        PlannedImage(
            ImageRef(row["image_id"], row["source"], row["path"], row["uri"]), row["revision"]
        )
        for row in table.to_pylist()
    ]

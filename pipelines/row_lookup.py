"""The rows of a run by their photo, read when they are asked for: a row group is in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.parquet_reading import ParquetReader
from pipelines.run_folder import SHARDS
from pipelines.storage import Folder
from stages.records import ImageRow
from stages.schema import rows_from_table


@dataclass
class RowLookup:
    """The latest revision of each photo's row.

    Attributes:
        run: the run's folder.
    """

    run: Folder
    _places: dict[str, tuple[str, int]] = field(default_factory=dict, init=False)
    _group: tuple[tuple[str, int], dict[str, ImageRow]] = field(
        default_factory=lambda: (("", -1), {}), init=False
    )

    def __post_init__(self) -> None:
        revisions: dict[str, int] = {}
        for name in sorted(self.run.names(SHARDS)):
            with self.run.open(f"{SHARDS}/{name}") as file, ParquetReader(file) as parquet:
                for group in parquet.groups:
                    table = parquet.read_group(group, columns=["image_id", "revision"])
                    for row in table.to_pylist():
                        if row["revision"] >= revisions.get(row["image_id"], 0):
                            revisions[row["image_id"]] = row["revision"]
                            self._places[row["image_id"]] = (name, group)

    def get(self, image_id: str) -> ImageRow | None:
        """A photo's row, or None if it has none."""
        place = self._places.get(image_id)
        if place is None:
            return None
        if self._group[0] != place:
            name, number = place
            with self.run.open(f"{SHARDS}/{name}") as file, ParquetReader(file) as parquet:
                rows = list(rows_from_table(parquet.read_group(number)))
            self._group = (place, {row.ref.image_id: row for row in rows})
        return self._group[1][image_id]

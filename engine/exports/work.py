"""What every export does: two passes over a run, a format in between, tables and a marker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from engine.console import Meter
from engine.exports.choice import MaskChoice
from engine.exports.folder import export_folder, write_marker
from engine.exports.numbers import Numbers
from engine.exports.photo_files import write_photo
from engine.exports.tables import NumberTables, number_tables
from model.errors import ConfigurationError, RecordError
from pipelines.shards import read_rows
from pipelines.status import run_status
from stages.photos import PhotoLimits
from stages.records import ImageRow, MaskRecord
from stages.schema import SHARD_SCHEMA

IMAGES_A_FOLDER: Final = 10_000


@dataclass(frozen=True)
class NumberedRow:
    """A photo as an export takes it.

    Attributes:
        number: of the photo, from 1.
        row: its row, readable.
        masks: the chosen masks with their numbers, ascending.
        photo_file: of the photo relative to the export, if it was written.
    """

    number: int
    row: ImageRow
    masks: tuple[tuple[int, MaskRecord], ...]
    photo_file: str | None


@dataclass
class ExportCounts:
    """What an export holds, and what it could not."""

    images: int = 0
    masks: int = 0
    left_out: int = 0
    failed_images: int = 0
    photo_errors: Counter[str] = field(default_factory=Counter)


class ExportFormat(Protocol):
    """How one format writes.

    Attributes:
        name: on the command line.
        not_held: sentences on what the format cannot hold.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def not_held(self) -> tuple[str, ...]: ...  # noqa: D102

    def photo_stem(self, number: int) -> str:
        """Where a photo's file goes, without extension, relative to the export."""
        ...

    def write(self, rows: Iterable[NumberedRow], folder: Path, numbers: Numbers) -> None:
        """Writes everything but photos and tables."""
        ...


def export_run(
    run: str,
    out: str,
    export_format: ExportFormat,
    choice: MaskChoice,
    *,
    with_photos: bool,
    limits: PhotoLimits,
    meter: Meter,
) -> ExportCounts:
    """Exports a run, finished or not; memory does not grow with it but for 48 bytes a photo.

    Raises:
        ConfigurationError: if there is no such run, it holds nothing yet, or `out` is foreign.
        StopError: if the disk is full.
    """
    if not run_status(run).shards_done:
        raise ConfigurationError(
            f"{run}: no shard is done yet, so there is nothing to export. `mask-engine status` "
            "says how far the run is."
        )
    numbers = Numbers.of(read_rows(run, columns=["masks"]))
    counts = ExportCounts()
    columns = [name for name in SHARD_SCHEMA.names if with_photos or name != "image"]
    with export_folder(out, export_format.name) as folder:
        with number_tables(folder) as tables:
            passage = _Passage(folder, export_format, choice, numbers, tables, counts)
            write = passage.photo_writer(limits) if with_photos else None
            rows = _metered(read_rows(run, columns=columns), meter, len(numbers))
            export_format.write(passage.rows(rows, write), folder, numbers)
        write_marker(folder, _marker(run, export_format, choice, counts))
    return counts


@dataclass(frozen=True)
class _Passage:
    """The second pass: numbers, chooses and counts each row on its way to the format."""

    folder: Path
    export_format: ExportFormat
    choice: MaskChoice
    numbers: Numbers
    tables: NumberTables
    counts: ExportCounts

    def rows(
        self, rows: Iterable[ImageRow], write: Callable[[int, ImageRow], str | None] | None
    ) -> Iterator[NumberedRow]:
        for row in rows:
            number = self.numbers.image(row)
            if number is None:
                continue  # it came while the export was under way
            if row.error is not None:
                self.counts.failed_images += 1
                self.tables.image(number, row, None)
                continue
            photo_file = write(number, row) if write else None
            self.tables.image(number, row, photo_file)
            yield NumberedRow(number, row, self._masks(number, row), photo_file)

    def photo_writer(self, limits: PhotoLimits) -> Callable[[int, ImageRow], str | None]:
        def write(number: int, row: ImageRow) -> str | None:
            stem = self.folder / self.export_format.photo_stem(number)
            try:
                return write_photo(row, stem, limits).relative_to(self.folder).as_posix()
            except RecordError as error:
                self.counts.photo_errors[error.kind] += 1
                return None

        return write

    def _masks(self, image_number: int, row: ImageRow) -> tuple[tuple[int, MaskRecord], ...]:
        mask_numbers = self.numbers.masks(row)
        chosen = self.choice.of(row.masks)
        self.counts.images += 1
        self.counts.masks += len(chosen)
        self.counts.left_out += len(row.masks) - len(chosen)
        numbered = sorted(
            ((mask_numbers[mask.mask_id], mask) for mask in chosen), key=lambda pair: pair[0]
        )
        for number, mask in numbered:
            self.tables.mask(number, image_number, mask)
        return tuple(numbered)


def _metered(rows: Iterable[ImageRow], meter: Meter, total: int) -> Iterator[ImageRow]:
    for done, row in enumerate(rows):
        meter(done, total)
        yield row
    meter(total, total)


def _marker(
    run: str, export_format: ExportFormat, choice: MaskChoice, counts: ExportCounts
) -> dict[str, object]:
    not_held: Sequence[str] = export_format.not_held
    return {
        "format": export_format.name,
        "run": run,
        "choice": choice.model_dump(),
        "images": counts.images,
        "masks": counts.masks,
        "masks_left_out": counts.left_out,
        "images_that_failed": counts.failed_images,
        "photos_not_written": dict(sorted(counts.photo_errors.items())),
        "not_held_by_the_format": list(not_held),
    }

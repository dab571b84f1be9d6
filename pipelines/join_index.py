# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""Which rows of which runs are of the same photo, and which photos look alike.

Only references and hashes pass the shuffles here, never masks or pixels: what passes one is held
in memory several times over.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import combinations
from typing import Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from model.errors import RecordError
from pipelines.beam_pipeline import IN_MEMORY
from pipelines.joins import ALIKE_FILE, INDEX_FILE, IndexedPhoto, JoinedRun, RowPlace
from pipelines.parquet_reading import ParquetReader
from pipelines.reading import read_photo
from pipelines.run_folder import SHARDS
from pipelines.storage import Folder
from stages.photo_hash import bands, differing_bits, perceptual_hash
from stages.photos import PhotoLimits, decode_photo
from stages.records import ImageRef

_COLUMNS: Final = ["image_id", "source", "path", "uri", "sha256", "revision", "error"]


def run_index(runs: Sequence[JoinedRun], out: Folder, limits: PhotoLimits, alike_bits: int) -> None:
    """Makes the index in this process and in memory; `joins.index_runs` says of what."""
    shards = [
        (number, run.address, name)
        for number, run in enumerate(runs)
        for name in Folder(run.address).names(SHARDS)
        if name.endswith(".parquet")
    ]
    with beam.Pipeline(options=PipelineOptions(list(IN_MEMORY))) as pipeline:
        photos = (
            pipeline
            | "Shards" >> beam.Create(shards)
            | "Rows" >> beam.FlatMap(_rows_of_shard)
            | "By photo" >> beam.GroupByKey()
            | "Hash" >> beam.Map(_indexed, limits)
        )
        alike = (
            photos
            | "Bands" >> beam.FlatMap(_banded, alike_bits)
            | "By band" >> beam.GroupByKey()
            | "Pairs" >> beam.FlatMap(_pairs, alike_bits)
            | "Each once" >> beam.Distinct()
        )
        photos | "Photo lines" >> beam.Map(_photo_line) | "Keep photos" >> _Keep(out, INDEX_FILE)
        alike | "Pair lines" >> beam.Map(json.dumps) | "Keep pairs" >> _Keep(out, ALIKE_FILE)


class _Keep(beam.PTransform[PCollection[str], PCollection[None]]):
    """Lines into one file, sorted, whole."""

    def __init__(self, out: Folder, name: str) -> None:
        super().__init__()
        self._out, self._name = out, name

    def expand(self, lines: PCollection[str]) -> PCollection[None]:
        return lines | ToList() | beam.Map(_write_lines, self._out, self._name)


def _write_lines(lines: list[str], out: Folder, name: str) -> None:
    out.write(name, "".join(f"{line}\n" for line in sorted(lines)).encode())


def _photo_line(photo: IndexedPhoto) -> str:
    return json.dumps(
        [astuple(photo.ref), [astuple(place) for place in photo.places], photo.photo_hash]
    )


def _rows_of_shard(shard: tuple[int, str, str]) -> Iterator[tuple[str, tuple[ImageRef, RowPlace]]]:
    """References to the rows of a shard that hold masks or at least could."""
    run, address, name = shard
    with Folder(address).open(f"{SHARDS}/{name}") as file, ParquetReader(file) as parquet:
        for group in parquet.groups:
            table: pa.Table = parquet.read_group(group, columns=_COLUMNS)
            for row, values in enumerate(table.to_pylist()):
                if values["error"] is not None:
                    continue
                ref = ImageRef(*(values[key] for key in ("image_id", "source", "path", "uri")))
                place = RowPlace(run, name, group, row, values["revision"])
                yield ref.image_id, (ref, place)


def _indexed(
    photo: tuple[str, Iterable[tuple[ImageRef, RowPlace]]], limits: PhotoLimits
) -> IndexedPhoto:
    _, rows = photo
    latest: dict[int, tuple[ImageRef, RowPlace]] = {}
    for ref, place in rows:
        if place.run not in latest or latest[place.run][1].revision < place.revision:
            latest[place.run] = ref, place
    ordered = [latest[run] for run in sorted(latest)]
    ref = ordered[-1][0]
    try:
        pixels = decode_photo(read_photo(ref.uri, limits), limits).pixels_HWC
        photo_hash = perceptual_hash(pixels)
    except RecordError:
        photo_hash = None
    return IndexedPhoto(ref, tuple(place for _, place in ordered), photo_hash)


def _banded(photo: IndexedPhoto, alike_bits: int) -> Iterator[tuple[str, tuple[int, str]]]:
    if photo.photo_hash is not None:
        for band in bands(photo.photo_hash, alike_bits):
            yield band, (photo.photo_hash, photo.ref.image_id)


def _pairs(
    band: tuple[str, Iterable[tuple[int, str]]], alike_bits: int
) -> Iterator[tuple[str, str]]:
    """Photos of equal hashes as a chain, and one of each hash with one of every hash near it."""
    _, members = band
    first_of: dict[int, str] = {}
    for photo_hash, image in sorted(members):
        if photo_hash in first_of:
            yield first_of[photo_hash], image
        else:
            first_of[photo_hash] = image
    for (hash_1, first), (hash_2, second) in combinations(first_of.items(), 2):
        if differing_bits(hash_1, hash_2) <= alike_bits:
            yield min(first, second), max(first, second)

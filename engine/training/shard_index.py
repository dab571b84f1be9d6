"""Where in a run's shards which masks are, and how readily each is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.parameters import StreamSourceParameters
from engine.training.sampling import MaskFacts, mask_weights, photo_factors
from model.errors import ConfigurationError
from pipelines.manifest import read_manifest
from pipelines.parquet_reading import ParquetReader
from pipelines.run_folder import SHARDS
from pipelines.storage import Folder
from stages.joining import is_peoples
from stages.records import ImageRow
from stages.schema import rows_from_table


@dataclass(frozen=True)
class GroupPlace:
    """A row group: its shard's name and its number in it."""

    shard: str
    group: int


@dataclass(frozen=True, eq=False)
class WeightedGroup:
    """What the index knows of a row group: weights (N,) of each of its rows' masks."""

    place: GroupPlace
    weights: tuple[NDArray[np.float64], ...]

    @property
    def total(self) -> float:
        """Weight of all its masks."""
        return float(sum(weights.sum() for weights in self.weights))


def index_groups(folder: Folder, source: StreamSourceParameters) -> list[WeightedGroup]:
    """Weights of all masks, without their pixels; one pass over the shards.

    Raises:
        ConfigurationError: if the shards carry no photos.
    """
    places: list[tuple[GroupPlace, int]] = []
    facts: list[list[MaskFacts]] = []
    rounds: list[int] = []
    names = [name for name in folder.names(SHARDS) if name.endswith(".parquet")]
    manifest = read_manifest(folder)
    if manifest is not None and not manifest.embed_images:
        raise ConfigurationError(
            f"source {source.name!r}: the shards of {source.path} carry no photos; make the run "
            "with --embed-images, or use kind: shards"
        )
    for name in names:
        with folder.open(f"{SHARDS}/{name}") as file, ParquetReader(file) as parquet:
            columns = [n for n in parquet.names if n != "image"]
            for group in parquet.groups:
                rows = list(rows_from_table(parquet.read_group(group, columns=columns)))
                places.append((GroupPlace(name, group), len(rows)))
                facts += [[_facts(row, place) for place in range(len(row.masks))] for row in rows]
                rounds += [row.round for row in rows]
    weights = mask_weights(facts, source.sampling)
    factors = photo_factors([w.sum() for w in weights], rounds, source.sampling)
    weights = [weight * factor for weight, factor in zip(weights, factors, strict=True)]
    groups, first = [], 0
    for place, rows_in in places:
        groups.append(WeightedGroup(place, tuple(weights[first : first + rows_in])))
        first += rows_in
    return groups


def _facts(row: ImageRow, place: int) -> MaskFacts:
    mask = row.masks[place]
    return MaskFacts(is_peoples(mask), mask.clicks or 0, mask.edited_px or 0)


def read_group(folder: Folder, place: GroupPlace) -> list[ImageRow]:
    """The rows of a row group, with their photos."""
    with folder.open(f"{SHARDS}/{place.shard}") as file, ParquetReader(file) as parquet:
        return list(rows_from_table(parquet.read_group(place.group)))

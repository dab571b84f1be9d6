"""Which masks of a run are looked at: the least sure ones, or a fair sample of all."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Set
from dataclasses import dataclass

from pipelines.shards import read_rows
from stages.records import ImageRef, MaskRecord

# Masks whose makers gave no score (people's) come after the doubtful ones, before the sure ones.
_UNSCORED = 0.8


@dataclass(frozen=True, order=True)
class Chosen:
    """A mask to be looked at.

    Attributes:
        rank: the lowest is looked at first.
        mask_id, image_id: which mask, of which photo.
    """

    rank: float
    mask_id: str
    image_id: str


def choose(run: str, *, order: str, most: int, seed: int, without: Set[str]) -> list[Chosen]:
    """The masks to be looked at, in this order; memory holds no more than those.

    Args:
        run: address of the run.
        order: `worst` or `random`.
        most: how many at most.
        seed: of the random choice.
        without: masks that are passed over.

    Raises:
        ConfigurationError: if there is no run.
    """
    every = (
        Chosen(_rank(mask, order, seed), mask.mask_id, ref.image_id)
        for ref, mask in _masks(run)
        if mask.mask_id not in without
    )
    return heapq.nsmallest(most, every)


def _masks(run: str) -> Iterator[tuple[ImageRef, MaskRecord]]:
    for row in read_rows(run, columns=["masks"]):
        for mask in row.masks:
            yield row.ref, mask


def _rank(mask: MaskRecord, order: str, seed: int) -> float:
    """Random ranks follow from the mask's id, so that a choice can be made again."""
    if order == "worst":
        return _UNSCORED if mask.predicted_iou is None else mask.predicted_iou
    drawn = hashlib.blake2b(f"{seed} {mask.mask_id}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") / 2**64

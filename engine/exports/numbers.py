"""Whole numbers for formats that want them: photos and masks counted in the order of their ids.

The numbers depend on nothing but the run's rows: not on shards, workers, or on what an export
chooses, so every export of a finished run gives a mask the same number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.errors import MaskEngineError
from stages.ids import ID_HEX_DIGITS
from stages.records import ImageRow

UNNAMED: Final = "object"


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a first pass over a run's rows finds out; 48 bytes a photo.

    Attributes:
        image_ids: (N,) sorted ids as ASCII.
        first_mask: (N + 1,) number of each photo's first mask; masks count from 1.
        categories: names that masks have, sorted; `UNNAMED` among them if a mask has none.
    """

    image_ids: NDArray[np.bytes_]
    first_mask: NDArray[np.int64]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, rows: Iterable[ImageRow]) -> Numbers:
        """Counts every photo once; rows in any order."""
        ids = bytearray()
        counts: list[int] = []
        categories: set[str] = set()
        for row in rows:
            ids += row.ref.image_id.encode("ascii")
            counts.append(len(row.masks))
            categories.update(mask.category or UNNAMED for mask in row.masks)
        image_ids = np.frombuffer(bytes(ids), f"S{ID_HEX_DIGITS}")
        order = np.argsort(image_ids)
        first_mask = np.ones(len(counts) + 1, np.int64)
        first_mask[1:] += np.cumsum(np.array(counts, np.int64)[order])
        return cls(image_ids[order], first_mask, tuple(sorted(categories)))

    def __len__(self) -> int:
        return len(self.image_ids)

    def image(self, row: ImageRow) -> int | None:
        """The photo's number, from 1; None for a photo that came after the first pass."""
        key = np.bytes_(row.ref.image_id.encode("ascii"))
        place = int(np.searchsorted(self.image_ids, key))
        if place == len(self.image_ids) or self.image_ids[place] != key:
            return None
        return place + 1

    def masks(self, row: ImageRow) -> dict[str, int]:
        """The numbers of all of a photo's masks, by mask id.

        Raises:
            MaskEngineError: if the photo was corrected since the first pass.
        """
        number = self.image(row) or 0
        first, after = self.first_mask[number - 1 : number + 1].tolist()
        if after - first != len(row.masks):
            raise MaskEngineError(
                f"{row.ref.path}: its masks changed while the run was being read, so numbers would "
                "be given twice. Nothing was written; run the same command again."
            )
        return {mask: first + i for i, mask in enumerate(sorted(m.mask_id for m in row.masks))}

"""A fair sample of a run's photos: the same one every time, whatever the order of the shards."""

from __future__ import annotations

import heapq

from stages.records import ImageRow


class PhotoSample:
    """Keeps the rows with the lowest image ids among those that were added.

    Image ids are hashes, so the lowest are a uniform draw that no sorting of paths can bias.
    Photos with masks go before photos without; photos that failed are never drawn.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[_Ranked] = []

    def add(self, row: ImageRow) -> None:
        """Considers one photo."""
        if row.error is not None or self._size < 1:
            return
        ranked = _Ranked(row)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, ranked)
        elif self._heap[0] < ranked:
            heapq.heapreplace(self._heap, ranked)

    def rows(self) -> list[ImageRow]:
        """The sample in order of the photos' paths."""
        return sorted(
            (ranked.row for ranked in self._heap), key=lambda row: (row.ref.path, row.ref.image_id)
        )


class _Ranked:
    """Orders rows so that the heap's first is the first to give up its place."""

    def __init__(self, row: ImageRow) -> None:
        self.row = row
        self._key = (not row.masks, row.ref.image_id)

    def __lt__(self, other: _Ranked) -> bool:
        return self._key > other._key

"""Who gets which photo: what they began, then what nobody has, then what still lacks somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.annotate.work_folder import WorkFolder
from stages.records import ImageRef


@dataclass(frozen=True)
class Progress:
    """How far a person and all are.

    Attributes:
        mine: photos that the person finished.
        finished: photos that enough people finished.
        total: photos there are.
    """

    mine: int
    finished: int
    total: int


class Queue:
    """The photos in their order, and how many people each needs.

    Args:
        photos: in the order they are given out.
        work: everybody's.
        annotators: how many people do each photo.
    """

    def __init__(self, photos: Sequence[ImageRef], work: WorkFolder, annotators: int) -> None:
        self._photos = photos
        self._work = work
        self._annotators = annotators

    def next(self, annotator: str, count: int = 2) -> list[ImageRef]:
        """The photo a person is to do now, and those that will come after it."""
        ranked = sorted(
            ((rank, place) for place, rank in self._ranks(annotator) if rank is not None)
        )
        return [self._photos[place] for _, place in ranked[:count]]

    def progress(self, annotator: str) -> Progress:
        """How far a person and all are."""
        mine = finished = 0
        for photo in self._photos:
            works = self._work.of(photo.image_id)
            done = [work for work in works if work.done]
            finished += len(done) >= self._annotators
            mine += any(work.annotator == annotator for work in done)
        return Progress(mine, finished, len(self._photos))

    def _ranks(self, annotator: str) -> list[tuple[int, int | None]]:
        return [(place, self._rank(photo, annotator)) for place, photo in enumerate(self._photos)]

    def _rank(self, photo: ImageRef, annotator: str) -> int | None:
        """0 begun by them, 1 free, 2 begun by as many as it takes (who may have gone home)."""
        works = self._work.of(photo.image_id)
        own = next((work for work in works if work.annotator == annotator), None)
        if own is not None:
            return None if own.done else 0
        if sum(work.done is not None for work in works) >= self._annotators:
            return None
        return 1 if len(works) < self._annotators else 2

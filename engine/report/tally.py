"""Counts over every row of a run, in memory that does not grow with the run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from stages.records import ImageRow, MaskRecord

MAX_FAILURES_LISTED: Final = 200
SCORE_BINS: Final = 40
SIZE_DECADES: Final = 6
BINS_PER_DECADE: Final = 6
SIZE_BINS: Final = SIZE_DECADES * BINS_PER_DECADE
NO_LEVEL: Final = "none"


@dataclass(frozen=True)
class Failure:
    """A photo that gave no masks, and why."""

    path: str
    kind: str
    message: str


@dataclass
class Tally:
    """Running counts; `add` takes each photo's latest row once.

    Attributes:
        masks_per_image: number of readable photos by their number of masks.
        predicted_iou, stability_score: number of masks by score, `SCORE_BINS` bins over [0, 1];
            a score above 1 counts in the last bin.
        sizes: number of masks by share of the photo, `SIZE_BINS` logarithmic bins from
            1e-6 (or less) to 1.
        failures: the first `MAX_FAILURES_LISTED` only; `failure_kinds` counts all.
    """

    images: int = 0
    masks: int = 0
    masks_per_image: Counter[int] = field(default_factory=Counter)
    predicted_iou: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    stability_score: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    sizes: list[int] = field(default_factory=lambda: [0] * SIZE_BINS)
    levels: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    failure_kinds: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Photos that gave a row with an error."""
        return sum(self.failure_kinds.values())

    @property
    def proposals(self) -> int:
        """Masks proposed: kept and dropped."""
        return self.masks + sum(self.dropped.values())

    @property
    def mean_masks(self) -> float:
        """Masks a readable photo."""
        return self.masks / max(1, self.images - self.failed)

    def add(self, row: ImageRow) -> None:
        """Counts one photo."""
        self.images += 1
        self.dropped.update(row.dropped)
        if row.error is not None:
            self._add_failure(row)
            return
        self.masks += len(row.masks)
        self.masks_per_image[len(row.masks)] += 1
        photo_px = (row.width or 1) * (row.height or 1)
        for mask in row.masks:
            self._add_mask(mask, photo_px)

    def _add_mask(self, mask: MaskRecord, photo_px: int) -> None:
        self.origins[mask.origin] += 1
        self.levels[mask.level or NO_LEVEL] += 1
        self.sizes[size_bin(mask.area / photo_px)] += 1
        if mask.predicted_iou is not None:
            self.predicted_iou[score_bin(mask.predicted_iou)] += 1
        if mask.stability_score is not None:
            self.stability_score[score_bin(mask.stability_score)] += 1

    def _add_failure(self, row: ImageRow) -> None:
        if row.error is None:
            return
        self.failure_kinds[row.error.type] += 1
        if len(self.failures) < MAX_FAILURES_LISTED:
            self.failures.append(Failure(row.ref.path, row.error.type, row.error.message))


def score_bin(score: float) -> int:
    """Which of `SCORE_BINS` equal bins over [0, 1] a score falls in."""
    return min(SCORE_BINS - 1, max(0, int(score * SCORE_BINS)))


def size_bin(share: float) -> int:
    """Which logarithmic bin a mask's share of the photo falls in."""
    if share <= 0:
        return 0
    position = (math.log10(share) + SIZE_DECADES) * BINS_PER_DECADE
    return min(SIZE_BINS - 1, max(0, int(position)))

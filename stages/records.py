"""The records that flow through every stage: a photo's reference, a mask, a photo's row.

Small, frozen, checked on construction, changed only by `dataclasses.replace`. Field names are
SA-1B's wherever it has one; everything else is provenance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stages.rle import Rle

AUTOMATIC: Final = "automatic"
STAGES: Final = (AUTOMATIC, "assisted_manual", "semi_automatic", "import")
ORIGINS: Final = (AUTOMATIC, "detector", "human", "simulated", "import")
LEVELS: Final = ("whole", "part", "subpart")
SECONDS_FROM: Final = ("clicks", "task")

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class ImageRef:
    """Where a photo is, before anybody has read it.

    Attributes:
        image_id: `ids.image_id(source, path)`.
        source: name of the collection.
        path: relative to the source, `/` between folders; the address itself in a list.
        uri: address that fsspec opens.
    """

    image_id: str
    source: str
    path: str
    uri: str


@dataclass(frozen=True)
class PromptRecord:
    """The prompt a mask came from, in pixels of the upright original."""

    points_xy: tuple[Point, ...] = ()
    point_labels: tuple[int, ...] = ()
    box_xyxy: Box | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        _require(
            len(self.points_xy) == len(self.point_labels),
            f"{len(self.points_xy)} points but {len(self.point_labels)} labels",
        )


@dataclass(frozen=True)
class MaskRecord:
    """One mask with its scores and its whole provenance (SCHEMA: a mask)."""

    mask_id: str
    segmentation: Rle
    bbox: Box
    area: int
    origin: str
    predicted_iou: float | None = None
    stability_score: float | None = None
    crop_box: Box | None = None
    point_coords: tuple[Point, ...] = ()
    prompt: PromptRecord | None = None
    model_id: str | None = None
    nested_in: str | None = None
    level: str | None = None
    derived_from: str | None = None
    category: str | None = None
    annotator: str | None = None
    seconds: float | None = None
    seconds_from: str | None = None
    clicks: int | None = None
    edited_px: int | None = None

    def __post_init__(self) -> None:
        _require_one_of("origin", self.origin, ORIGINS)
        if self.level is not None:
            _require_one_of("level", self.level, LEVELS)
        if self.seconds_from is not None:
            _require_one_of("seconds_from", self.seconds_from, SECONDS_FROM)
        for name in ("predicted_iou", "stability_score", "seconds"):
            value = getattr(self, name)
            _require(value is None or math.isfinite(value), f"{name} is {value}, not finite")
        _require(self.area >= 0, f"area is {self.area} px")
        _require(len(self.bbox) == 4, f"bbox is x, y, w, h, got {self.bbox}")


@dataclass(frozen=True)
class ErrorRecord:
    """Why a photo gave no masks: a short kind that is counted, and a sentence."""

    type: str
    message: str


@dataclass(frozen=True)
class ImageRow:
    """A photo and everything known about its masks: one row of a shard.

    Attributes:
        ref: which photo.
        width, height: pixels after EXIF rotation; None if unreadable.
        sha256: of the bytes as read; None if unreadable.
        image: the upright photo's file bytes, only where a run embeds them.
        round: 0 before the engine's rounds.
        stage: one of `STAGES`.
        revision: a higher one replaces a lower one of the same image.
        exhaustive: True where somebody says that every object is there.
        masks: what was kept.
        dropped: proposals dropped, by reason.
        error: set where the photo failed; then there are no masks.
    """

    ref: ImageRef
    stage: str
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    image: bytes | None = None
    round: int = 0
    revision: int = 0
    exhaustive: bool | None = None
    masks: tuple[MaskRecord, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    error: ErrorRecord | None = None

    def __post_init__(self) -> None:
        _require_one_of("stage", self.stage, STAGES)
        _require(not (self.error and self.masks), f"{self.ref.image_id}: an error and masks")
        readable = self.width is not None and self.height is not None and self.sha256 is not None
        _require(
            readable or self.error is not None,
            f"{self.ref.image_id}: no size or sha256, and no error that explains it",
        )

    @property
    def proposals(self) -> int:
        """Masks that were proposed: kept and dropped."""
        return len(self.masks) + sum(self.dropped.values())


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    _require(value in allowed, f"{name} is {value!r}, expected one of {', '.join(allowed)}")

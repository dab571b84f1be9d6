"""What every import format reads: photos, each with the masks that somebody drew on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stages.records import Box, Point


@dataclass(frozen=True)
class Annotation:
    """One mask as a file describes it, not yet checked.

    Attributes:
        segmentation: polygons, compressed or uncompressed RLE, as COCO has them.
        crowd: a region of many objects, which is no object's mask.
    """

    segmentation: Any
    category: str | None = None
    crowd: bool = False
    predicted_iou: float | None = None
    stability_score: float | None = None
    crop_box: Box | None = None
    point_coords: tuple[Point, ...] = ()


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo as a file describes it.

    Attributes:
        path: of the photo relative to the source, which makes its id.
        width, height: pixels that the masks are meant for; None if the file does not say.
        trouble: why the file's word on this photo cannot be used, or None.
    """

    path: str
    width: int | None = None
    height: int | None = None
    annotations: tuple[Annotation, ...] = ()
    trouble: str | None = None


class AnnotationReader(Protocol):
    """One format: lists photos before it reads them, so that a run can be planned."""

    def paths(self) -> Sequence[str]:
        """Of every photo, sorted, each once."""
        ...

    def read(self, path: str) -> AnnotatedPhoto:
        """The photo of one of these paths."""
        ...

    def digest(self) -> str:
        """Hex digits that change when the annotations do."""
        ...

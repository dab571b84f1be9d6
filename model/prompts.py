"""What a person or a program asks of the model: points, a box, earlier logits. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

POSITIVE = 1
NEGATIVE = 0


@dataclass(frozen=True, eq=False)
class Prompt:
    """One question to the model about one image; any combination of its parts, at least one.

    Coordinates are pixels of the image that was embedded (x right, y down, the centre of the
    top-left pixel is 0.0, 0.0), before any scaling to the network's input.

    Attributes:
        points_xy: (K, 2) float32.
        point_labels: (K,) int8, 1 for a point on the object, 0 for one that is not.
        box_xyxy: (4,) float32 (left, top, right, bottom), or None.
        mask_logits: (h, w) float32 at the decoder's resolution, as an earlier answer gave them
            (the padded square input at a quarter of its size), or None.

    Raises:
        ValueError: if shapes, labels or numbers are not as above.
    """

    points_xy: NDArray[np.float32]
    point_labels: NDArray[np.int8]
    box_xyxy: NDArray[np.float32] | None = None
    mask_logits: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        _check_points(self.points_xy, self.point_labels)
        if self.box_xyxy is not None:
            _check_box(self.box_xyxy)
        if self.mask_logits is not None and self.mask_logits.ndim != 2:
            raise ValueError(f"mask_logits has shape {self.mask_logits.shape}, expected (h, w)")
        if not len(self.points_xy) and self.box_xyxy is None and self.mask_logits is None:
            raise ValueError("an empty prompt: give at least a point, a box or earlier logits")

    @classmethod
    def of(
        cls,
        points_xy: ArrayLike = (),
        point_labels: ArrayLike | None = None,
        box_xyxy: ArrayLike | None = None,
        mask_logits: NDArray[np.float32] | None = None,
    ) -> Prompt:
        """Builds a prompt from plain lists; points without labels are positive."""
        points = np.asarray(points_xy, dtype=np.float32).reshape(-1, 2)
        labels = np.ones(len(points)) if point_labels is None else np.asarray(point_labels)
        box = None if box_xyxy is None else np.asarray(box_xyxy, dtype=np.float32)
        return cls(points, labels.astype(np.int8).reshape(-1), box, mask_logits)


def _check_points(points_xy: NDArray[np.float32], point_labels: NDArray[np.int8]) -> None:
    if points_xy.ndim != 2 or points_xy.shape[1] != 2:
        raise ValueError(f"points_xy has shape {points_xy.shape}, expected (K, 2)")
    if point_labels.shape != (len(points_xy),):
        raise ValueError(
            f"point_labels has shape {point_labels.shape}, expected ({len(points_xy)},): "
            "one label a point"
        )
    if not np.isfinite(points_xy).all():
        raise ValueError("points_xy holds a number that is not finite")
    if not np.isin(point_labels, (NEGATIVE, POSITIVE)).all():
        raise ValueError(f"point labels are 1 or 0, got {sorted(set(point_labels.tolist()))}")


def _check_box(box_xyxy: NDArray[np.float32]) -> None:
    if box_xyxy.shape != (4,) or not np.isfinite(box_xyxy).all():
        raise ValueError(f"box_xyxy is four finite numbers, got {box_xyxy.tolist()}")
    left, top, right, bottom = box_xyxy.tolist()
    if right < left or bottom < top:
        raise ValueError(
            f"box_xyxy is left, top, right, bottom with left <= right and top <= bottom, "
            f"got {box_xyxy.tolist()}"
        )

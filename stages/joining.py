"""One photo's rows of several rounds become one row: people's masks win over a machine's.

Everything that is left out is counted by its reason, so that nothing disappears in a join.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stages import rle
from stages.nesting import nest
from stages.records import AUTOMATIC, ImageRow, MaskRecord

PEOPLES_ORIGINS: Final = frozenset({"human", "simulated", "import"})

SAME_MASK: Final = "same_mask_in_another_round"
UNDER_PEOPLES: Final = "under_a_persons_mask"
UNDER_NEWER: Final = "under_a_newer_mask"
BESIDE_COMPLETE: Final = "beside_a_complete_photo"
NOT_SURE: Final = "model_not_sure"
CORRECTED: Final = "corrected_since"
REJECTED: Final = "rejected_by_people"
PHOTO_CHANGED: Final = "photo_changed"

NESTING_CONTAINMENT: Final = 0.9


class JoinParameters(BaseModel):
    """How a round's data set is put together."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    overlap_iou: float = Field(
        default=0.5, gt=0, le=1, description="At this IoU two masks are of the same object."
    )
    sure_predicted_iou: float = Field(
        default=0.88, description="A machine's masks below this are left out."
    )
    sure_stability: float = Field(
        default=0.0, ge=0, le=1, description="A machine's masks less stable are left out."
    )
    validation_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Groups of photos kept out of training, for validation of your own; the engine "
        "measures on held-out photos.",
    )
    near_duplicate_bits: int = Field(
        default=3, ge=0, le=15, description="Photos whose hashes differ in no more bits are alike."
    )
    frames_of: str | None = Field(
        default=None,
        description="Regular expression; photos in whose paths its group 1 is the same are "
        "frames of one source, and stay on one side of the split.",
    )

    @field_validator("frames_of")
    @classmethod
    def _names_what_frames_share(cls, value: str | None) -> str | None:
        try:
            has_group = value is None or re.compile(value).groups > 0
        except re.error:
            has_group = False
        if not has_group:
            raise ValueError(
                "expected a regular expression whose group 1 names what frames have in common, "
                r"such as '^(.*)_\d+\.jpg$'"
            )
        return value

    def source_of_frame(self, path: str) -> str | None:
        """What the frame at a path has in common with others, None if it is no frame."""
        found = None if self.frames_of is None else re.search(self.frames_of, path)
        return found.group(1) if found else None


def is_peoples(mask: MaskRecord) -> bool:
    """Whether a person made this mask, or looked at it and left it as it was."""
    return mask.origin in PEOPLES_ORIGINS or mask.annotator is not None


def join_rows(
    rows: Sequence[ImageRow],
    parameters: JoinParameters,
    rejected: Collection[str] = frozenset(),
) -> ImageRow:
    """The union of one photo's rows.

    Args:
        rows: of one photo, at least one, the oldest round first. Masks of another file than
            the newest row's (by sha256) do not fit it, and are left out.
        parameters: what counts as the same object, and as sure.
        rejected: ids of masks that people have rejected.

    Returns:
        A row of the newest round, with every drop counted. Its stage is the one of the newest
        row in which people had a say, else of the newest.
    """
    readable = [row for row in rows if row.error is None]
    if not readable:
        return rows[-1]
    dropped: Counter[str] = Counter()
    for row in readable:
        dropped.update(row.dropped)
        if row.sha256 != readable[-1].sha256:
            dropped[PHOTO_CHANGED] += len(row.masks)
    newest_first = [row for row in reversed(readable) if row.sha256 == readable[-1].sha256]
    shown = [row for row in newest_first if row.stage != AUTOMATIC]
    complete = any(row.exhaustive for row in shown)
    union = _Union(parameters.overlap_iou, dropped)
    masks = _distinct(newest_first, rejected, dropped)
    for place, mask in masks:
        if is_peoples(mask):
            union.add(place, mask)
    for place, mask in masks:
        if is_peoples(mask):
            continue
        if not _is_sure(mask, parameters):
            dropped[NOT_SURE] += 1
        elif complete:
            dropped[BESIDE_COMPLETE] += 1
        else:
            union.add(place, mask)
    first = (shown or newest_first)[0]
    return replace(
        first,
        round=max(row.round for row in readable),
        revision=0,
        exhaustive=True if complete else first.exhaustive,
        masks=nest([mask for _, mask in union.kept], NESTING_CONTAINMENT),
        dropped={reason: count for reason, count in sorted(dropped.items()) if count},
    )


class _Union:
    """Masks that stay; of the same object in different rows, the first that is added."""

    def __init__(self, overlap_iou: float, dropped: Counter[str]) -> None:
        self.kept: list[tuple[int, MaskRecord]] = []
        self._overlap_iou = overlap_iou
        self._dropped = dropped

    def add(self, place: int, mask: MaskRecord) -> None:
        """Adds a mask of the row at `place`, unless another row's mask is of its object.

        Masks of one row may overlap as they like: a part lies in its whole.
        """
        rivals = [other for where, other in self.kept if where != place]
        ious = rle.pairwise_iou([mask.segmentation], [rival.segmentation for rival in rivals])
        if not rivals or float(ious.max()) < self._overlap_iou:
            self.kept.append((place, mask))
            return
        winner = rivals[int(ious.argmax())]
        won_by_people = is_peoples(winner) and not is_peoples(mask)
        self._dropped[UNDER_PEOPLES if won_by_people else UNDER_NEWER] += 1


def _distinct(
    newest_first: Sequence[ImageRow], rejected: Collection[str], dropped: Counter[str]
) -> list[tuple[int, MaskRecord]]:
    """Every mask once with its row's place, without those corrected or rejected since."""
    found: dict[str, tuple[int, MaskRecord]] = {}
    for place, row in enumerate(newest_first):
        for mask in row.masks:
            if mask.mask_id not in found:
                found[mask.mask_id] = place, mask
                continue
            dropped[SAME_MASK] += 1
            # What a person said of a mask stays with it, whichever row comes first.
            if is_peoples(mask) and not is_peoples(found[mask.mask_id][1]):
                found[mask.mask_id] = place, mask
    parents = {mask.derived_from for _, mask in found.values()}
    kept = []
    for place, mask in found.values():
        if mask.mask_id in rejected:
            dropped[REJECTED] += 1
        elif mask.mask_id in parents:
            dropped[CORRECTED] += 1
        else:
            kept.append((place, mask))
    return kept


def _is_sure(mask: MaskRecord, parameters: JoinParameters) -> bool:
    return (mask.predicted_iou or 0.0) >= parameters.sure_predicted_iou and (
        mask.stability_score is None or mask.stability_score >= parameters.sure_stability
    )

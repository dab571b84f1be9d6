"""Which of a photo's masks an export takes: all, only the leaves, or none over another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stages import rle
from stages.cleanup import MaskPatch, tight
from stages.records import MaskRecord

Selection = Callable[[Sequence[MaskRecord]], tuple[MaskRecord, ...]]


def all_masks(masks: Sequence[MaskRecord]) -> tuple[MaskRecord, ...]:
    """Every mask, as it is."""
    return tuple(masks)


def leaves_only(masks: Sequence[MaskRecord]) -> tuple[MaskRecord, ...]:
    """The masks that no other mask of the photo is nested in; they may still overlap."""
    parents = {mask.nested_in for mask in masks}
    return tuple(mask for mask in masks if mask.mask_id not in parents)


def without_overlap(masks: Sequence[MaskRecord]) -> tuple[MaskRecord, ...]:
    """Gives every pixel to the smallest mask that holds it; masks left with none are gone.

    Segmentation, box and area are those of the pixels that remain; the id and everything else
    still tell of the mask that was cut. The order is kept.
    """
    if not masks:
        return ()
    owners = owner_map(masks)
    cut = (_only_owned(mask, owners, i) for i, mask in enumerate(masks))
    return tuple(mask for mask in cut if mask is not None)


def owner_map(masks: Sequence[MaskRecord]) -> NDArray[np.int32]:
    """(H, W) for every pixel the index of the smallest mask that holds it, or -1.

    Of masks of the same area the one with the higher predicted IoU wins, then the smaller id.

    Raises:
        ValueError: if the masks are not of one size, or there are none.
    """
    sizes = {mask.segmentation.size_hw for mask in masks}
    if len(sizes) != 1:
        raise ValueError(f"masks of one photo have one size, got {sorted(sizes)}")
    owners = np.full(sizes.pop(), -1, np.int32)
    for i in sorted(range(len(masks)), key=lambda i: _precedence(masks[i]), reverse=True):
        window = _window(masks[i])
        owners[window][rle.decode(masks[i].segmentation)[window]] = i
    return owners


SELECTIONS: Final[Mapping[str, Selection]] = MappingProxyType(
    {"all": all_masks, "leaves": leaves_only, "no-overlap": without_overlap}
)


def _precedence(mask: MaskRecord) -> tuple[int, float, str]:
    return mask.area, -(mask.predicted_iou or 0.0), mask.mask_id


def _only_owned(mask: MaskRecord, owners: NDArray[np.int32], index: int) -> MaskRecord | None:
    rows, columns = _window(mask)
    owned = owners[rows, columns] == index
    area = int(np.count_nonzero(owned))
    if area == mask.area:
        return mask
    if area == 0:
        return None
    patch = tight(MaskPatch(owned, columns.start, rows.start))
    height, width = patch.inside_HW.shape
    return replace(
        mask,
        segmentation=rle.encode_patch(
            patch.inside_HW, (patch.left, patch.top), mask.segmentation.size_hw
        ),
        bbox=(float(patch.left), float(patch.top), float(width), float(height)),
        area=area,
    )


def _window(mask: MaskRecord) -> tuple[slice, slice]:
    left, top, width, height = (int(value) for value in rle.bbox_xywh(mask.segmentation))
    return slice(top, top + height), slice(left, left + width)

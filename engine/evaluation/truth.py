"""Known masks to evaluate against, from COCO files: which of them, and what does not count."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from model.errors import ConfigurationError

IGNORED_KEYS = ("ignore_segmentation", "ignored_segmentation")
"""Where an annotation keeps its unsure band; pixels in it count for neither side."""


@dataclass(frozen=True)
class TruthMask:
    """One known mask, still encoded: `size_hw` of its photo."""

    annotation_id: int
    segmentation: Any
    ignored: Any | None
    size_hw: tuple[int, int]

    def mask(self) -> NDArray[np.bool_]:
        """(H, W), true on the object."""
        return decode(self.segmentation, self.size_hw)

    def ignored_band(self) -> NDArray[np.bool_] | None:
        """(H, W), true where pixels do not count, or None."""
        return None if self.ignored is None else decode(self.ignored, self.size_hw)


@dataclass(frozen=True)
class TruthPhoto:
    """One photo and its known masks."""

    path: Path
    masks: tuple[TruthMask, ...]


def read_truth(
    annotations: Path,
    images: Path | None = None,
    *,
    with_empty: bool = False,
    missing_is_fine: bool = False,
) -> list[TruthPhoto]:
    """Read a COCO file; crowds and empty masks are left out.

    Args:
        annotations: the file.
        images: folder of the photos; by default `images` beside the file, or its own folder.
        with_empty: whether photos without a mask are given too.
        missing_is_fine: takes photos that are not there as well.

    Raises:
        ConfigurationError: not a COCO file, or photos that it names are missing.
    """
    try:
        document = json.loads(annotations.read_text(encoding="utf-8"))
        entries, marks = document["images"], document["annotations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{annotations}: not a readable COCO file ({type(error).__name__}: {error}); "
            'expected JSON with "images" and "annotations"'
        ) from None
    folder = images or _default_folder(annotations)
    by_image: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for mark in marks:
        if not mark.get("iscrowd", 0) and mark.get("area", 1) > 0:
            by_image[mark["image_id"]].append(mark)
    photos = [_photo(entry, by_image[entry["id"]], folder) for entry in entries]
    missing = [photo.path for photo in photos if not photo.path.exists()]
    if missing and not missing_is_fine:
        raise ConfigurationError(
            f"{annotations}: {len(missing)} of {len(photos)} photos are not in {folder}, "
            f"{missing[0].name} for one: give the folder that they are in "
            "(`evaluate --images`, `audit` and `calibrate --photos`)"
        )
    return [photo for photo in photos if photo.masks or with_empty]


def choose_masks(
    photos: Sequence[TruthPhoto], *, max_masks: int | None, max_per_image: int | None, seed: int
) -> list[TruthPhoto]:
    """A seeded choice: at most so many masks a photo, and so many in all, spread over photos."""
    rng = np.random.default_rng(seed)
    chosen = [
        (photo_index, mask_index)
        for photo_index, photo in enumerate(photos)
        for mask_index in rng.permutation(len(photo.masks))[:max_per_image].tolist()
    ]
    order = rng.permutation(len(chosen))[:max_masks]
    kept: defaultdict[int, list[int]] = defaultdict(list)
    for photo_index, mask_index in (chosen[i] for i in order):
        kept[photo_index].append(mask_index)
    return [
        replace(photos[i], masks=tuple(photos[i].masks[m] for m in sorted(kept[i])))
        for i in sorted(kept)
    ]


def decode(segmentation: Any, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """COCO's polygons, RLE or compressed RLE to (H, W)."""
    height, width = size_hw
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    return np.asarray(coco_mask.decode(rle), dtype=bool)


def _default_folder(annotations: Path) -> Path:
    beside = annotations.parent / "images"
    return beside if beside.is_dir() else annotations.parent


def _photo(
    entry: Mapping[str, Any], marks: Sequence[Mapping[str, Any]], folder: Path
) -> TruthPhoto:
    size_hw = (int(entry["height"]), int(entry["width"]))
    masks = tuple(
        TruthMask(
            annotation_id=int(mark["id"]),
            segmentation=mark["segmentation"],
            ignored=next((mark[key] for key in IGNORED_KEYS if key in mark), None),
            size_hw=size_hw,
        )
        for mark in marks
    )
    return TruthPhoto(folder / entry["file_name"], masks)

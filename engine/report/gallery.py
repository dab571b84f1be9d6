"""The gallery's data: each sampled photo small, each of its masks as a short code."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from engine.report.tally import NO_LEVEL
from engine.report.thumbnails import Thumbnail, mask_code, photo_thumbnail
from stages.photos import PhotoLimits
from stages.records import LEVELS, ORIGINS, ImageRow, MaskRecord

LONGEST_SIDE_PX: Final = 640
LEVEL_NAMES: Final = (*LEVELS, NO_LEVEL)

# What would end the script element or the line in which the data stands.
_UNSAFE: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}


def gallery_photos(
    rows: Iterable[ImageRow], limits: PhotoLimits, longest: int = LONGEST_SIDE_PX
) -> Iterator[dict[str, Any]]:
    """Yields what the page needs of each photo; reads the photos one at a time."""
    for row in rows:
        yield _photo(row, photo_thumbnail(row, longest, limits))


def gallery_json(photos: list[dict[str, Any]]) -> str:
    """The page's data as JSON that is safe inside a script element."""
    text = json.dumps(
        {"levels": LEVEL_NAMES, "origins": ORIGINS, "photos": photos},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    for character, code in _UNSAFE.items():
        text = text.replace(character, code)
    return text


def _photo(row: ImageRow, thumbnail: Thumbnail) -> dict[str, Any]:
    height, width = thumbnail.size_hw
    return {
        "name": row.ref.path.rsplit("/", 1)[-1],
        "path": row.ref.path,
        "w": row.width,
        "h": row.height,
        "tw": width,
        "th": height,
        "trouble": thumbnail.trouble,
        "src": "data:image/jpeg;base64," + base64.b64encode(thumbnail.jpeg()).decode("ascii"),
        "masks": [_mask(mask, thumbnail.size_hw) for mask in row.masks],
    }


def _mask(mask: MaskRecord, size_hw: tuple[int, int]) -> list[Any]:
    """In the order that the script names: counts, IoU, stability, area, level, name, origin."""
    return [
        mask_code(mask, size_hw).counts,
        _rounded(mask.predicted_iou),
        _rounded(mask.stability_score),
        mask.area,
        LEVEL_NAMES.index(mask.level or NO_LEVEL),
        mask.category,
        ORIGINS.index(mask.origin),
    ]


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)

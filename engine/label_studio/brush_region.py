"""A brush mask as the labelling page has it: a region of an annotation or a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def brush_region(
    region_id: str,
    encoded: Sequence[int],
    size_hw: tuple[int, ...],
    *,
    control: str,
    shown_on: str,
    label: str,
) -> Json:
    """A brush mask as the page reads it and submits it.

    Args:
        region_id: the page keeps it.
        encoded: what `encode_brush` or `encode_brush_patch` gave.
        size_hw: of the photo.
        control: the name of the brush labels in the labelling set-up.
        shown_on: the name of the image there.
        label: of the mask.
    """
    height, width = size_hw
    return {
        "id": region_id,
        "type": "brushlabels",
        "from_name": control,
        "to_name": shown_on,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(encoded), "brushlabels": [label]},
    }

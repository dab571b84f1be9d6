"""Prompts as the labelling page sends them, and as the model takes them; both ways.

The page counts in percent of the photo, from its edge; the model in pixels, where whole numbers
are the middle of a pixel. Coordinates are rounded to a thousandth of a pixel: percent and back
gives the very click again, and what is stored can be read by people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine.backend.conversation import Conversation
from engine.backend.errors import RequestError
from engine.backend.labels import AUTO, OBJECT, SmartLabel, parse_smart_label
from engine.backend.protocol import PromptRegion
from model.prompts import NEGATIVE, POSITIVE
from stages.records import Box, Point, PromptRecord

_DECIMALS: Final = 3


def check_size(regions: Sequence[PromptRegion], size_hw: tuple[int, int]) -> None:
    """Refuses prompts that were made on a photo of another size than the one that is asked.

    Raises:
        RequestError: naming both sizes.
    """
    for region in regions:
        shown = (region.original_height, region.original_width)
        if None not in shown and shown != size_hw:
            raise RequestError(
                409,
                f"the page shows a photo of {shown[1]} x {shown[0]} px, the one that this task's "
                f"id means has {size_hw[1]} x {size_hw[0]} px: the photo was changed, or the task "
                "names another one. Send the task again",
            )


def conversation_of(
    regions: Sequence[PromptRegion], image_id: str, size_hw: tuple[int, int]
) -> Conversation:
    """The conversation that a list of prompts is; of several boxes the last one counts.

    Args:
        regions: at least one.
        image_id: which photo.
        size_hw: of that photo, in pixels.
    """
    clicks = [region for region in regions if region.is_click]
    boxes = [region for region in regions if not region.is_click]
    prompt = PromptRecord(
        points_xy=tuple(_point_xy(region, size_hw) for region in clicks),
        point_labels=tuple(NEGATIVE if r.is_positive is False else POSITIVE for r in clicks),
        box_xyxy=_box_xyxy(boxes[-1], size_hw) if boxes else None,
    )
    return Conversation(image_id, prompt, _granularity(regions))


def smart_label_of(regions: Sequence[PromptRegion]) -> SmartLabel:
    """The label the object was begun with."""
    label = next((r.value.label for r in regions if r.value.label), OBJECT)
    return parse_smart_label(label)


def regions_of(conversation: Conversation, size_hw: tuple[int, int]) -> list[dict[str, Any]]:
    """The prompts of a conversation as a labelling page would send them."""
    height, width = size_hw
    label = str(SmartLabel(OBJECT, conversation.granularity))
    prompt = conversation.prompt
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    regions: list[dict[str, Any]] = []
    if prompt.box_xyxy is not None:
        left, top, right, bottom = prompt.box_xyxy
        value = {
            "x": left / width * 100,
            "y": top / height * 100,
            "width": (right + 1 - left) / width * 100,
            "height": (bottom + 1 - top) / height * 100,
            "rectanglelabels": [label],
        }
        regions.append({"type": "rectanglelabels", "value": value, "is_positive": True, **size})
    for (x, y), point_label in zip(prompt.points_xy, prompt.point_labels, strict=True):
        value = {
            "x": (x + 0.5) / width * 100,
            "y": (y + 0.5) / height * 100,
            "width": 0.3,
            "keypointlabels": [label],
        }
        positive = point_label == POSITIVE
        regions.append({"type": "keypointlabels", "value": value, "is_positive": positive, **size})
    return regions


def _granularity(regions: Sequence[PromptRegion]) -> str:
    return smart_label_of(regions).granularity if regions else AUTO


def _point_xy(region: PromptRegion, size_hw: tuple[int, int]) -> Point:
    height, width = size_hw
    x = _rounded(region.value.x / 100 * width - 0.5)
    y = _rounded(region.value.y / 100 * height - 0.5)
    return min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)


def _box_xyxy(region: PromptRegion, size_hw: tuple[int, int]) -> Box:
    """From edge to edge on the page; from the first pixel to the last for the model."""
    value, (height, width) = region.value, size_hw
    left, right = _span(value.x, value.width, width)
    top, bottom = _span(value.y, value.height, height)
    return left, top, right, bottom


def _span(start_percent: float, length_percent: float, side_px: int) -> tuple[float, float]:
    edges = sorted((start_percent, start_percent + length_percent))
    first = min(max(_rounded(edges[0] / 100 * side_px), 0.0), side_px - 1.0)
    last = min(max(_rounded(edges[1] / 100 * side_px - 1), 0.0), side_px - 1.0)
    return first, max(first, last)


def _rounded(pixels: float) -> float:
    return round(pixels, _DECIMALS) + 0.0  # no negative zero

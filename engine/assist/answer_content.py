"""An answer's content: what people drew in one task, and what is known about it, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from engine.clicks.effort import RegionEffort
from stages.records import MaskRecord, PromptRecord
from stages.rle import Rle
from stages.schema import mask_from_dict, mask_to_dict

Json = dict[str, Any]

UNKNOWN_ID: Final = "unknown_id"
TASK_DELETED: Final = "task_deleted"
TASK_EDITED: Final = "task_edited"
SKIPPED: Final = "skipped"
INTERNAL: Final = "internal"


@dataclass(frozen=True)
class Before:
    """The mask that a region was when it was collected last; a row of the run holds it."""

    mask_id: str
    derived_from: str | None
    segmentation: Rle


@dataclass(frozen=True)
class Drawing:
    """What one person submitted for a photo.

    Attributes:
        annotator: who.
        lead_seconds: how long the task was open for them.
        skipped: whether they refused it.
        result: regions and choices, as the server gives them: nobody has looked what they are.
        efforts: what regions cost that were made by clicking, by region id.
        at: when it was submitted last, as the server says.
        looked: seconds spent on each of the masks that the task began with, where somebody
            measured them one by one.
    """

    annotator: str
    lead_seconds: float
    skipped: bool
    result: Sequence[Any]
    efforts: Mapping[str, RegionEffort] = field(default_factory=dict)
    at: str = ""
    looked: Mapping[str, float] = field(default_factory=dict)

    @property
    def regions(self) -> list[Json]:
        """What is at least an object in the result."""
        return [region for region in self.result if isinstance(region, dict)]


@dataclass(frozen=True)
class Content:
    """All that is known about a photo's task.

    Attributes:
        drawings: of each annotator, the first one first.
        before: masks of the collections before, by annotator and region.
        prefilled: the exact masks that the task began with, by region id.
        problem: kind and message where the task itself is of no use.
    """

    drawings: Sequence[Drawing] = ()
    before: Mapping[str, Mapping[str, Before]] = field(default_factory=dict)
    prefilled: Mapping[str, MaskRecord] = field(default_factory=dict)
    problem: tuple[str, str] | None = None

    def to_text(self) -> str:
        """As JSON."""
        fields = {
            "drawings": [_drawing_fields(drawing) for drawing in self.drawings],
            "before": {
                annotator: {region: asdict(mask) for region, mask in masks.items()}
                for annotator, masks in self.before.items()
            },
            "prefilled": {region: mask_to_dict(mask) for region, mask in self.prefilled.items()},
            "problem": self.problem,
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Content:
        """Reads what `to_text` wrote."""
        fields = json.loads(text)
        problem = fields["problem"]
        return cls(
            drawings=[_drawing(drawing) for drawing in fields["drawings"]],
            before={
                annotator: {region: _before(mask) for region, mask in masks.items()}
                for annotator, masks in fields["before"].items()
            },
            prefilled={id_: mask_from_dict(m) for id_, m in fields["prefilled"].items()},
            problem=None if problem is None else (problem[0], problem[1]),
        )

    def fingerprint(self) -> str:
        """Equal where people gave the same; what was collected before does not count."""
        drawings = [_drawing_fields(replace(drawing, at="")) for drawing in self.drawings]
        same = {"drawings": drawings, "problem": self.problem}
        text = json.dumps(same, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _before(fields: Json) -> Before:
    height, width = fields["segmentation"]["size_hw"]
    segmentation = Rle((height, width), fields["segmentation"]["counts"])
    return Before(fields["mask_id"], fields["derived_from"], segmentation)


def _drawing_fields(drawing: Drawing) -> Json:
    """Plain values; `asdict` would copy every number of every mask."""
    efforts = {region: asdict(effort) for region, effort in drawing.efforts.items()}
    plain = {
        name: getattr(drawing, name) for name in ("annotator", "lead_seconds", "skipped", "at")
    }
    # Left out where nobody measured it: answers that are kept already look the same as ever.
    looked = {"looked": dict(drawing.looked)} if drawing.looked else {}
    return {**plain, **looked, "result": drawing.result, "efforts": efforts}


def _drawing(fields: Json) -> Drawing:
    efforts = {region: _effort(effort) for region, effort in fields.pop("efforts").items()}
    return Drawing(**fields, efforts=efforts)


def _effort(fields: Json) -> RegionEffort:
    prompt = fields.pop("prompt")
    box = prompt["box_xyxy"]
    record = PromptRecord(
        points_xy=tuple((x, y) for x, y in prompt["points_xy"]),
        point_labels=tuple(prompt["point_labels"]),
        box_xyxy=None if box is None else (box[0], box[1], box[2], box[3]),
        text=prompt["text"],
    )
    return RegionEffort(**fields, prompt=record)

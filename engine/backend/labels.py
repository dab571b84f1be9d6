"""Names that the labelling page and the backend agree on. Plain constants, nothing imported.

A label of the smart tools is a name, which the mask gets, and in brackets how much of the object is
meant where one click is ambiguous: `Object`, `Object (part)`, `bolt (whole)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# The task's data: where the page finds the photo, and which photo it is (`stages.ids.image_id`).
IMAGE_KEY: Final = "image"
IMAGE_ID_KEY: Final = "image_id"

# Controls of the labelling set-up.
IMAGE_CONTROL: Final = "image"
MASK_CONTROL: Final = "mask"
CLICK_CONTROL: Final = "click"
BOX_CONTROL: Final = "box"
MEANT_CONTROL: Final = "meant"
OUTLINE_CONTROL: Final = "outline"

OBJECT: Final = "Object"

# Where the server tells the backend that somebody submitted (`engine.clicks.bell`).
BELL_PATH: Final = "/webhook"

AUTO: Final = "auto"
WHOLE: Final = "whole"
PART: Final = "part"
SUBPART: Final = "subpart"
GRANULARITIES: Final = (AUTO, WHOLE, PART, SUBPART)

_BRACKETED: Final = re.compile(rf"(?P<name>.+?) \((?P<granularity>{'|'.join(GRANULARITIES)})\)")


@dataclass(frozen=True)
class SmartLabel:
    """What a smart tool's label says.

    Attributes:
        name: of the mask that is asked for.
        granularity: one of `GRANULARITIES`; `auto` leaves it to the model.
    """

    name: str
    granularity: str = AUTO

    def __str__(self) -> str:
        return self.name if self.granularity == AUTO else f"{self.name} ({self.granularity})"


def smart_labels(name: str = OBJECT) -> tuple[str, ...]:
    """The labels to offer for a name: the model's choice first, then whole, part, subpart."""
    return tuple(str(SmartLabel(name, granularity)) for granularity in GRANULARITIES)


def parse_smart_label(text: str) -> SmartLabel:
    """Reads a label; text in brackets that is no granularity belongs to the name."""
    found = _BRACKETED.fullmatch(text.strip())
    if found is None:
        return SmartLabel(text.strip())
    return SmartLabel(found["name"], found["granularity"])

"""The verify step's labelling page: a picture and three keys."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Final

from engine.backend.labels import IMAGE_CONTROL, IMAGE_KEY
from stages.reviews import ACCEPT, FIX, REJECT

VERDICT_CONTROL: Final = "verdict"
_CHOICES: Final = ((ACCEPT, "a"), (REJECT, "r"), (FIX, "f"))


def verdict_config() -> str:
    """The set-up of a project."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(
        view, "Image", name=IMAGE_CONTROL, value=f"${IMAGE_KEY}", zoom="true", maxWidth="100%"
    )
    question = ElementTree.SubElement(
        view,
        "Choices",
        name=VERDICT_CONTROL,
        toName=IMAGE_CONTROL,
        choice="single",
        showInline="true",
        required="true",
        requiredMessage="Press A, R or F first",
    )
    for verdict, key in _CHOICES:
        ElementTree.SubElement(question, "Choice", value=verdict, hotkey=key)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")

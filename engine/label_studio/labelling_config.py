"""The labelling page's set-up (XML): brush, eraser, smart clicks and boxes, and one question.

A smart tool with labels of its own takes no click before one is chosen, and forgets it after each
click unless every browser is told otherwise. So the smart tools have none: clicks just go on,
as the paper's annotators work. Who means more chooses a label that no tool owns; it stays chosen.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import Final

from engine.backend.labels import (
    BOX_CONTROL,
    CLICK_CONTROL,
    IMAGE_CONTROL,
    IMAGE_KEY,
    MASK_CONTROL,
    MEANT_CONTROL,
    OBJECT,
    OUTLINE_CONTROL,
    smart_labels,
)

EXHAUSTIVE_CONTROL: Final = "exhaustive"
EXHAUSTIVE_CHOICE: Final = "Every object has a mask"
PATH_KEY: Final = "path"
_SMART: Final = {"smart": "true", "smartOnly": "true"}
_COLOURS: Final = ("#e4572e", "#2e86ab", "#3b8132", "#8e5ea2", "#c28f2c", "#d1478c", "#17a398")


def labelling_config(
    names: Sequence[str] = (), *, smart: bool = True, outlines: bool = False
) -> str:
    """The set-up of a project.

    Args:
        names: of classes, beside the plain object; none are needed.
        smart: whether a click backend answers points and boxes.
        outlines: whether masks are shown as outlines that were found before.
    """
    view = ElementTree.Element("View")
    _add(view, "Header", value=f"${PATH_KEY}", size="6")
    _add(view, "Image", name=IMAGE_CONTROL, value=f"${IMAGE_KEY}", zoom="true", zoomControl="true")
    labels = (OBJECT, *names)
    if smart:
        _add(view, "KeyPoint", name=CLICK_CONTROL, toName=IMAGE_CONTROL, **_SMART)
        _add(view, "Rectangle", name=BOX_CONTROL, toName=IMAGE_CONTROL, **_SMART)
        # Whole, part and subpart are offered for the plain object only: one list stays short.
        _add_labels(view, "Meant", "Labels", MEANT_CONTROL, (*smart_labels(OBJECT)[1:], *names))
    _add_labels(view, "By hand", "BrushLabels", MASK_CONTROL, labels)
    if outlines:
        look = {"strokeWidth": "2", "opacity": "0.25", "pointSize": "small"}
        _add_labels(view, "Found", "PolygonLabels", OUTLINE_CONTROL, labels, **look)
    question = _add(
        view,
        "Choices",
        name=EXHAUSTIVE_CONTROL,
        toName=IMAGE_CONTROL,
        choice="multiple",
        showInline="true",
    )
    _add(question, "Choice", value=EXHAUSTIVE_CHOICE)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")


def mask_labels(names: Sequence[str]) -> frozenset[str]:
    """Every label that a mask of such a project may have."""
    return frozenset((OBJECT, *names))


def category_of(label: str) -> str | None:
    """The class that a mask's label names, or None for the plain object."""
    return None if label == OBJECT else label


def _add_labels(
    view: ElementTree.Element,
    caption: str,
    tag: str,
    control: str,
    labels: Sequence[str],
    **options: str,
) -> None:
    """A row of labels behind a caption: the same names stand in every row."""
    row = _add(view, "View", style="display: flex; gap: 1em; align-items: center")
    _add(row, "Header", value=caption, size="6")
    group = _add(row, tag, name=control, toName=IMAGE_CONTROL, **options)
    for place, label in enumerate(labels):
        _add(group, "Label", value=label, background=_COLOURS[place % len(_COLOURS)])


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)

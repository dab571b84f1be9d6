from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from engine.backend.label_set_up import read_label_set_up
from engine.backend.labels import parse_smart_label
from engine.label_studio.labelling_config import labelling_config, mask_labels


def smart_tools(*names: str) -> list[tuple[str, list[str]]]:
    """Tags of the smart tools in the page's order, with the labels that each needs."""
    root = ElementTree.fromstring(labelling_config(names))
    return [
        (tool.tag, [label.get("value", "") for label in tool.iter("Label")])
        for tool in root.iter()
        if tool.get("smartOnly")
    ]


def test_the_tools_that_the_page_chooses_by_itself_need_no_label():
    """The first one when they are switched on, the last of a kind on the next photo."""
    for names in ((), ("cup",)):
        tools = smart_tools(*names)
        assert tools[0] == ("KeyPoint", [])
        points = [tool for tool in tools if tool[0].startswith("KeyPoint")]
        boxes = [tool for tool in tools if tool[0].startswith("Rectangle")]
        assert points[-1] == ("KeyPoint", [])
        assert boxes[-1] == ("Rectangle", [])


def test_names_are_offered_for_clicks_boxes_and_by_hand():
    assert [labels for tag, labels in smart_tools("cup") if tag == "RectangleLabels"] == [["cup"]]
    (clicks,) = (labels for tag, labels in smart_tools("cup") if tag == "KeyPointLabels")
    assert clicks == ["Object (whole)", "Object (part)", "Object (subpart)", "cup"]
    assert {parse_smart_label(label).name for label in clicks} == mask_labels(("cup",))
    assert read_label_set_up(labelling_config(("cup",))).mask_labels == ("Object", "cup")


def test_without_a_backend_people_draw_by_hand():
    root = ElementTree.fromstring(labelling_config(smart=False))
    assert [tool.tag for tool in root.iter() if tool.get("toName")] == ["BrushLabels", "Choices"]

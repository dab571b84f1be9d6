from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from engine.backend.label_set_up import read_label_set_up
from engine.backend.labels import MASK_CONTROL, MEANT_CONTROL, parse_smart_label
from engine.label_studio.labelling_config import labelling_config, mask_labels


def labels_of(control: str, *names: str) -> list[str]:
    root = ElementTree.fromstring(labelling_config(names))
    (found,) = (tool for tool in root.iter() if tool.get("name") == control)
    return [label.get("value", "") for label in found.iter("Label")]


def test_smart_tools_have_no_label_to_choose_and_to_forget():
    root = ElementTree.fromstring(labelling_config(("cup",)))
    smart = [tool for tool in root.iter() if tool.get("smartOnly")]
    assert [tool.tag for tool in smart] == ["KeyPoint", "Rectangle"]
    assert not [label for tool in smart for label in tool.iter("Label")]


def test_what_clicks_mean_is_a_label_that_no_tool_owns():
    root = ElementTree.fromstring(labelling_config())
    assert [tool.get("name") for tool in root.iter("Labels")] == [MEANT_CONTROL]
    meant = labels_of(MEANT_CONTROL, "cup")
    assert meant == ["Object (whole)", "Object (part)", "Object (subpart)", "cup"]
    assert {parse_smart_label(label).name for label in meant} == mask_labels(("cup",))
    assert labels_of(MASK_CONTROL, "cup") == ["Object", "cup"]
    assert read_label_set_up(labelling_config(("cup",))).mask_labels == ("Object", "cup")


def test_without_a_backend_people_draw_by_hand():
    root = ElementTree.fromstring(labelling_config(smart=False))
    assert [tool.tag for tool in root.iter() if tool.get("toName")] == ["BrushLabels", "Choices"]

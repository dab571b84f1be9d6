from __future__ import annotations

import pytest

from engine.backend.labels import GRANULARITIES, SmartLabel, parse_smart_label, smart_labels


def test_the_models_choice_is_offered_first_and_without_brackets() -> None:
    assert smart_labels() == ("Object", "Object (whole)", "Object (part)", "Object (subpart)")


@pytest.mark.parametrize("name", ["Object", "bolt", "bolt (M8)"])
def test_every_offered_label_reads_back(name: str) -> None:
    read = [parse_smart_label(label) for label in smart_labels(name)]

    assert read == [SmartLabel(name, granularity) for granularity in GRANULARITIES]


def test_other_brackets_belong_to_the_name() -> None:
    assert parse_smart_label(" cat (left) ") == SmartLabel("cat (left)")

from __future__ import annotations

import pytest

from engine.backend.errors import RequestError
from engine.backend.label_set_up import read_label_set_up

SET_UP = """<View><!-- a comment --><Image name="photo" value="$picture"/>
<BrushLabels name="shape" toName="photo"><Label value="Object"/><Label value="bolt"/></BrushLabels>
<KeyPointLabels name="click" toName="photo" smart="true"><Label value="Object"/></KeyPointLabels>
</View>"""


def test_names_of_controls_are_the_projects_own() -> None:
    set_up = read_label_set_up(SET_UP)

    assert (set_up.image_key, set_up.image_control, set_up.mask_control) == (
        "picture",
        "photo",
        "shape",
    )
    assert set_up.mask_label("bolt") == "bolt"
    assert set_up.mask_label("nut") == "Object"


@pytest.mark.parametrize(
    ("xml", "problem"),
    [
        ("<View>", "not XML"),
        ('<!DOCTYPE x [<!ENTITY e "e">]><View>&e;</View>', "DOCTYPE"),
        ("<View><Image name='i' value='$image'/></View>", "no <BrushLabels>"),
        (SET_UP.replace("$picture", "fixed.jpg"), "no <BrushLabels>"),
    ],
)
def test_a_set_up_that_cannot_hold_masks_is_refused(xml: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem) as raised:
        read_label_set_up(xml)
    assert raised.value.status == 400

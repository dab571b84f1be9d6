"""What a project's labelling set-up (XML) says that the backend has to know: names of controls."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import lru_cache

from engine.backend.errors import RequestError
from engine.backend.labels import IMAGE_CONTROL, IMAGE_KEY, MASK_CONTROL, OBJECT


@dataclass(frozen=True)
class LabelSetUp:
    """Where the photo is and where masks go.

    Attributes:
        image_key: the task's data field that holds the photo's address.
        image_control: name of the Image control.
        mask_control: name of the BrushLabels control.
        mask_labels: the labels that masks may have.
    """

    image_key: str = IMAGE_KEY
    image_control: str = IMAGE_CONTROL
    mask_control: str = MASK_CONTROL
    mask_labels: tuple[str, ...] = (OBJECT,)

    def mask_label(self, name: str) -> str:
        """The label for a mask that was asked for by a name; the first one if it is not known."""
        return name if name in self.mask_labels else self.mask_labels[0]


@lru_cache(maxsize=64)
def read_label_set_up(xml: str) -> LabelSetUp:
    """Reads a labelling set-up.

    Raises:
        RequestError: if it is not XML, declares entities, or has no BrushLabels on an Image.
    """
    if "<!" in xml.replace("<!--", ""):
        raise RequestError(400, "the labelling set-up declares a DOCTYPE or entities: remove them")
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise RequestError(400, f"the labelling set-up is not XML ({error})") from None
    images = {image.get("name"): image.get("value", "") for image in root.iter("Image")}
    for brush in root.iter("BrushLabels"):
        name, shown_on = brush.get("name"), brush.get("toName")
        labels = tuple(label.get("value", "") for label in brush.iter("Label"))
        if name and shown_on and labels and images.get(shown_on, "").startswith("$"):
            return LabelSetUp(images[shown_on][1:], shown_on, name, labels)
    raise RequestError(
        400,
        "the labelling set-up has no <BrushLabels> with labels on an <Image value='$...'>: that is "
        "where masks go (`mask-engine assist send` makes such a project)",
    )

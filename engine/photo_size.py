"""Whether a photo is the one that its annotations were drawn on: the least that can be compared."""

from __future__ import annotations

from pathlib import Path

from model.errors import ConfigurationError


def check_photo_size(path: Path, found_hw: tuple[int, int], said_hw: tuple[int, int]) -> None:
    """Refuse a photo of another size than its annotations are for.

    Args:
        path: of the photo, for the message.
        found_hw: height and width as read, upright.
        said_hw: height and width that the annotations name.

    Raises:
        ConfigurationError: they differ, so that every mask would lie somewhere else.
    """
    if found_hw == said_hw:
        return
    (found_h, found_w), (said_h, said_w) = found_hw, said_hw
    why = "give the very photos that were annotated, or correct the annotations"
    if found_hw == said_hw[::-1]:
        why = (
            "the annotations do not follow the photo's EXIF rotation. Write the photo as it was "
            "annotated, without its EXIF, or turn the annotations"
        )
    raise ConfigurationError(
        f"{path} is {found_w} x {found_h} px, but its annotations are for {said_w} x {said_h} px, "
        f"so its masks would lie beside their objects: {why}"
    )

"""JSON that somebody else wrote: a value is taken only if it is what it says."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np

from model.errors import ConfigurationError, RecordError
from stages.records import Box, Point

_LARGEST_FLOAT32: Final = float(np.finfo(np.float32).max)


def parse_object(data: bytes, name: str) -> dict[str, Any]:
    """The object in a JSON file's bytes.

    Raises:
        RecordError: of kind `unreadable_annotation`, if there is none.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError("unreadable_annotation", f"{name}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise RecordError("unreadable_annotation", f"{name}: not a JSON object")
    return content


def items(document: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """The list of objects under a key.

    Raises:
        ConfigurationError: if there is no such list.
    """
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ConfigurationError(f"{where}: expected a list of objects under {key!r}")
    return found


def identifier(value: Any) -> int | str | None:
    """What files name things by: a whole number or a text; None for anything else."""
    return value if isinstance(value, int | str) else None


def whole(value: Any) -> int | None:
    """A positive whole number, or None."""
    return value if type(value) is int and value > 0 else None


def number(value: Any) -> float | None:
    """A finite number as the shards hold it (float32), or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    single = float(np.float32(value)) if abs(value) < _LARGEST_FLOAT32 else math.inf
    return single if math.isfinite(single) else None


def box(value: Any) -> Box | None:
    """Four finite numbers, or None."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    left, top, width, height = (number(item) for item in value)
    if left is None or top is None or width is None or height is None:
        return None
    return left, top, width, height


def points(value: Any) -> tuple[Point, ...]:
    """The well-formed ones of a list of points."""
    found = value if isinstance(value, list) else []
    pairs = [(number(p[0]), number(p[1])) for p in found if isinstance(p, list) and len(p) == 2]
    return tuple((x, y) for x, y in pairs if x is not None and y is not None)

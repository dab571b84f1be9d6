"""What a setting may be, in words: one sentence for every wrong value, whoever reads settings.

pydantic says what is wrong in terms of Python; people who write YAML are told what they may write.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

MOST_SHOWN: Final = 60


@dataclass(frozen=True)
class _Slot:
    """A place for a value: its name, its type, and the limits of it."""

    key: str
    annotation: Any
    limits: tuple[Any, ...] = ()


def sentence(detail: ErrorDetails, parameters: type[BaseModel]) -> str:
    """One of pydantic's errors as `KEY must be WHAT IS ALLOWED, but is VALUE`.

    Args:
        detail: one of `ValidationError.errors()`.
        parameters: the class that was validated.
    """
    slot = _find(detail["loc"], parameters)
    if detail["type"] in {"value_error", "assertion_error"}:  # a validator's own words
        message = detail["msg"].partition(", ")[2]
        return f"{slot.key}: {message}" if slot.key else message
    if detail["type"].startswith("union_tag"):
        return _which_kind(slot.key, detail)
    shown = _shown(detail["input"])
    hint = _hint(detail["input"], slot)
    return f"{slot.key} must be {_allowed(slot.annotation, slot.limits)}, but is {shown}{hint}"


def _find(loc: Sequence[int | str], parameters: type[BaseModel]) -> _Slot:
    """The last place on the way that has a name; members of a union have none."""
    slot = _Slot("", parameters)
    for part in loc:
        inner = _inside(slot, part)
        if inner is None:
            break
        slot = inner
    return slot


def _inside(slot: _Slot, part: int | str) -> _Slot | None:
    for annotation in _members(slot.annotation):
        key = f"{slot.key}.{part}" if slot.key else str(part)
        if isinstance(part, int):
            if get_origin(annotation) in {list, tuple}:
                items = [item for item in get_args(annotation) if item is not Ellipsis]
                return _Slot(key, items[min(part, len(items) - 1)])
        elif _is_model(annotation):
            field: FieldInfo | None = annotation.model_fields.get(part)
            if field is not None:
                return _Slot(key, field.annotation, tuple(field.metadata))
            if part in _tags(annotation):
                return _Slot(slot.key, annotation)
    return None


def _members(annotation: Any) -> list[Any]:
    """The types of a union, or the type itself; `Annotated` taken off."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _tags(model: type[BaseModel]) -> set[Any]:
    """The values by which a class is told from others in a union of them."""
    fields = model.model_fields.values()
    fixed = [field for field in fields if get_origin(field.annotation) is Literal]
    return {tag for field in fixed for tag in get_args(field.annotation)}


def _which_kind(key: str, detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    name = str(context.get("discriminator", "kind")).strip("'")
    place = f"{key}.{name}" if key else name
    if detail["type"] == "union_tag_not_found":
        return f"{place} is missing: it says what kind of entry this is"
    expected = str(context.get("expected_tags", "")).replace("'", "")
    return f"{place} must be one of {expected}, but is {_shown(context.get('tag'))}"


def _allowed(annotation: Any, limits: Iterable[Any] = ()) -> str:
    origin, limits = get_origin(annotation), tuple(limits)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        own = [limit for one in more for limit in getattr(one, "metadata", [one])]
        return _allowed(inner, (*limits, *own))
    if origin in {Union, types.UnionType}:
        members = [_allowed(member, limits) for member in get_args(annotation)]
        return " or ".join(members)
    if origin is Literal:
        choices = [_bare(choice) for choice in get_args(annotation)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if origin in {list, tuple}:
        return _list(get_args(annotation), limits)
    if _is_model(annotation):
        return f"a group of keys ({', '.join(annotation.model_fields)})"
    return _plain(annotation, limits)


def _plain(annotation: Any, limits: tuple[Any, ...]) -> str:
    if annotation in {int, float}:
        kind = "a whole number" if annotation is int else "a number"
        return " ".join([kind, *_range(limits)])
    if annotation is str:
        return " ".join(["text", *_length(limits, "character")])
    if annotation is bool:
        return "true or false"
    if annotation is type(None):
        return "null"
    return "a group of keys" if get_origin(annotation) is dict else "another kind of value"


def _list(items: tuple[Any, ...], limits: tuple[Any, ...]) -> str:
    if Ellipsis not in items and len(items) > 1:
        return f"a list of {len(items)}: {', '.join(_allowed(item) for item in items)}"
    length = "".join(f" {words}" for words in _length(limits, "item"))
    return f"a list{length}, each {_allowed(items[0])}"


def _range(limits: tuple[Any, ...]) -> list[str]:
    known = _known(limits, ("ge", "gt", "le", "lt", "multiple_of"))
    if {"ge", "le"} <= known.keys():
        words = [f"from {known.pop('ge'):g} to {known.pop('le'):g}"]
    else:
        named = {"ge": "of at least", "gt": "above", "le": "up to", "lt": "below"}
        given = [f"{text} {known.pop(name):g}" for name, text in named.items() if name in known]
        words = [" and ".join(given)] if given else []
    if "multiple_of" in known:
        words.append(f"that {known['multiple_of']:g} divides")
    return words


def _length(limits: tuple[Any, ...], unit: str) -> list[str]:
    known = _known(limits, ("min_length", "max_length"))
    least, most = known.get("min_length", 0), known.get("max_length")
    if most is not None:
        return [f"of {least:g} to {most:g} {unit}s"]
    return [f"of at least {least:g} {unit}{'s' if least > 1 else ''}"] if least else []


def _known(limits: tuple[Any, ...], names: Sequence[str]) -> dict[str, Any]:
    """Limits by name."""
    given: dict[str, Any] = {}
    for limit in limits:
        given |= {name: getattr(limit, name) for name in names if hasattr(limit, name)}
    return {name: value for name, value in given.items() if value is not None}


def _shown(value: Any) -> str:
    """A value as it would stand in YAML, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def _hint(value: Any, slot: _Slot) -> str:
    """Where YAML took a word for something else than its writer did."""
    members = _members(slot.annotation)
    if isinstance(value, bool) and bool not in members:
        quotes = "; quotes make them text" if str in members else ""
        return f" (YAML takes yes, no, on and off for true and false{quotes})"
    if isinstance(value, str) and {int, float} & set(members):
        try:
            float(value)
        except ValueError:
            return ""
        return " (that is text: leave out quotes, and write 1.0e-4 for 1e-4)"
    if isinstance(value, int | float) and str in members:
        return " (quotes make it text)"
    return ""


def _bare(choice: object) -> str:
    return str(choice) if isinstance(choice, str) else json.dumps(choice)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

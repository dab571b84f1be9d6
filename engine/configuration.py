"""From a YAML file, `--set` pairs and flags to checked parameters, with errors people can act on.

Later sources win: file, then `--set`, then flags. The parameters themselves live beside what
they steer; this module knows none of their names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

from model.errors import ConfigurationError
from stages.allowed_values import sentence

Settings = dict[str, Any]
Parameters = TypeVar("Parameters", bound=BaseModel)


def read_yaml(path: str) -> Settings:
    """Reads a configuration file: a mapping at the top, nothing executable.

    Raises:
        ConfigurationError: if there is no such file, or it is not such a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigurationError(
            f"configuration {path!r}: there is no such file, seen from {Path.cwd()}. Check the "
            "spelling, or go to the folder that the path begins at."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"configuration {path!r} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"configuration {path!r} is not YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigurationError(f"configuration {path!r}: expected `key: value` lines at the top")
    return cast(Settings, content)


def parse_assignments(pairs: Iterable[str]) -> Settings:
    """Turns `["parameters.nms_iou=0.6"]` into `{"parameters": {"nms_iou": 0.6}}`.

    Values are read as YAML: `0.6` is a number, `true` a truth value, `[a, b]` a list. Items of a
    list in the file go by their number: `data.sources.0.path=photos.json`.

    Raises:
        ConfigurationError: if a pair has no `=`, or its value is not YAML.
    """
    settings: Settings = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not all(key.split(".")):
            raise ConfigurationError(f"--set {pair!r}: expected key=value, with dots between keys")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigurationError(f"--set {pair!r}: the value is not valid YAML") from None
        for part in reversed(key.split(".")):
            parsed = {part: parsed}
        settings = merge(settings, parsed)
    return settings


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Settings:
    """Joins two nested mappings; where both have a value, `upper` wins.

    A list below takes a mapping by its items' numbers, from 0: `{"sources": {"0": ...}}`.

    Raises:
        ConfigurationError: if a list has no item of that number.
    """
    merged = dict(lower)
    for key, value in upper.items():
        merged[key] = _merged_value(key, merged.get(key), value)
    return merged


def _merged_value(key: str, below: object, value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    if isinstance(below, Mapping):
        return merge(below, value)
    if isinstance(below, list):
        return _merged_items(key, below, value)
    return value


def _merged_items(key: str, below: list[Any], value: Mapping[str, Any]) -> list[Any]:
    items = list(below)
    for number, item in value.items():
        if not number.isdecimal() or int(number) >= len(items):
            raise ConfigurationError(
                f"{key} is a list of {len(items)}, counted from 0: it has no item {number!r}"
            )
        items[int(number)] = _merged_value(f"{key}.{number}", items[int(number)], item)
    return items


def build(
    parameters: type[Parameters],
    layers: Sequence[Mapping[str, Any]],
    *,
    origin: str,
    also_known: Iterable[str] = (),
) -> Parameters:
    """Checks the merged layers against `parameters`.

    Args:
        parameters: a pydantic class that forbids extra keys.
        layers: from the weakest to the strongest.
        origin: where the values came from, for the message.
        also_known: further names that a caller understands, for guessing what was meant.

    Raises:
        ConfigurationError: naming the first key that is wrong, what was expected, and the key
            that was probably meant.
    """
    settings: Settings = {}
    for layer in layers:
        settings = merge(settings, layer)
    try:
        return parameters.model_validate(settings)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, parameters, origin, list(also_known))) from None


def _explain(
    error: ValidationError, parameters: type[BaseModel], origin: str, also_known: list[str]
) -> str:
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    where = tuple(str(part) for part in detail["loc"])
    key = ".".join(where)
    if detail["type"] == "extra_forbidden":
        return f"{origin}: unknown key {key!r}{_suggestion(where, parameters, also_known)}"
    if detail["type"] == "missing":
        return f"{origin}: {key!r} is missing"
    return f"{origin}: {sentence(detail, parameters)}"


def _suggestion(where: tuple[str, ...], parameters: type[BaseModel], also_known: list[str]) -> str:
    known = _field_names(parameters, where[:-1])
    meant = known if where[:-1] else known + also_known
    close = difflib.get_close_matches(where[-1], meant, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {'.'.join((*where[:-1], close[0]))!r}?"
    elsewhere = [name for name in dotted_names(parameters) if name.split(".")[-1] == where[-1]]
    if elsewhere:
        return f"; did you mean {elsewhere[0]!r}?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def _field_names(parameters: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    current: type[BaseModel] | None = parameters
    for part in path:
        field = current.model_fields.get(part) if current else None
        current = nested_model(field.annotation) if field else None
    return list(current.model_fields) if current else []


def dotted_names(parameters: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key that `--set` knows, nested ones with dots."""
    names: list[str] = []
    for name, field in parameters.model_fields.items():
        inner = nested_model(field.annotation)
        names.append(prefix + name)
        if inner is not None:
            names += dotted_names(inner, f"{prefix}{name}.")
    return names


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The pydantic class inside an annotation such as `Limits | None`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (nested_model(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)

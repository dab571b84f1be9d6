"""The tensors inside nested dataclasses and tuples, by name: what crosses between two graphs.

A graph takes and gives a flat list of tensors; the decoder's steps take and give small
dataclasses. Nothing here knows which ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from torch import Tensor

Tree = TypeVar("Tree")


def named_tensors(tree: Any, prefix: str = "") -> dict[str, Tensor]:
    """Every tensor of a tree by its path, such as `cells.layers.0.keys`, in a fixed order."""
    if isinstance(tree, Tensor):
        return {prefix: tree}
    found: dict[str, Tensor] = {}
    for name, child in _children(tree):
        found |= named_tensors(child, f"{prefix}.{name}" if prefix else name)
    return found


def with_tensors(tree: Tree, tensors: Mapping[str, Tensor], prefix: str = "") -> Tree:
    """The same tree with other tensors in the named places; the rest of it stays."""
    return cast(Tree, _with(tree, tensors, prefix))


def _with(tree: Any, tensors: Mapping[str, Tensor], prefix: str) -> Any:
    if isinstance(tree, Tensor):
        return tensors.get(prefix, tree)
    changed = {
        name: _with(child, tensors, f"{prefix}.{name}" if prefix else name)
        for name, child in _children(tree)
    }
    if _is_record(tree):
        return dataclasses.replace(tree, **changed)
    return tuple(changed.values()) if isinstance(tree, tuple) else tree


def _children(tree: Any) -> Iterator[tuple[str, Any]]:
    if _is_record(tree):
        for field in dataclasses.fields(tree):
            yield field.name, getattr(tree, field.name)
    elif isinstance(tree, tuple):
        for place, child in enumerate(tree):
            yield str(place), child


def _is_record(tree: Any) -> bool:
    return dataclasses.is_dataclass(tree) and not isinstance(tree, type)

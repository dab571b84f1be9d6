"""Tensors of nested records by name, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.onnx.tensor_tree import named_tensors, with_tensors


@dataclass(frozen=True)
class Leaf:
    keys: Tensor
    width: int = 3


@dataclass(frozen=True)
class Tree:
    layers: tuple[Leaf, ...]
    norm: Tensor | None = None


def make_tree() -> Tree:
    return Tree((Leaf(torch.zeros(1)), Leaf(torch.ones(2))), torch.ones(3))


def test_tensors_are_named_by_their_path():
    assert list(named_tensors(make_tree())) == ["layers.0.keys", "layers.1.keys", "norm"]


def test_what_is_no_tensor_has_no_name():
    assert list(named_tensors(Tree((), None))) == []


def test_only_named_tensors_are_replaced():
    before = make_tree()
    after = with_tensors(before, {"layers.1.keys": torch.full((2,), 7.0)})
    assert after.layers[1].keys.tolist() == [7.0, 7.0]
    assert after.layers[0].keys is before.layers[0].keys
    assert after.layers[1].width == 3
    assert before.layers[1].keys.tolist() == [1.0, 1.0]

"""A graph with weights of 16 bits that still computes in 32: half the download, the same speed.

Weights are stored as float16 behind a cast, which the runtime computes once when it loads the
graph. The packaged checkpoint's own file holds 16-bit weights, so most of them lose nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Smaller ones would save less than their cast costs.
_WORTH_HALVING: Final = 1024
_SUFFIX: Final = ".half"


def halve_weights(source: Path, target: Path) -> None:
    """Writes a graph again with its large float32 initialisers as float16.

    A weight too large for 16 bits (beyond 65504) stays as it is.
    """
    model = onnx.load(os.fspath(source))
    kept, casts = [], []
    for weight in model.graph.initializer:
        half = _as_half(weight)
        if half is None:
            kept.append(weight)
            continue
        kept.append(half)
        casts.append(helper.make_node("Cast", [half.name], [weight.name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*casts, *nodes])
    onnx.save(model, os.fspath(target))


def _as_half(weight: TensorProto) -> TensorProto | None:
    if weight.data_type != TensorProto.FLOAT or int(np.prod(weight.dims)) < _WORTH_HALVING:
        return None
    values = numpy_helper.to_array(weight)
    if np.abs(values).max() > np.finfo(np.float16).max:
        return None
    return numpy_helper.from_array(values.astype(np.float16), weight.name + _SUFFIX)

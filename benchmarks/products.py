"""Counts the operations of matrix products and convolutions: two for a multiplication and a sum.

torch's own counter leaves out what it has no formula for, and so three of the products that ours
is made of on a CPU. numpy's are not seen: upsampling's, which are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Shape = torch.Size


@contextmanager
def counted_products() -> Iterator[FlopCounterMode]:
    """Counts what this thread computes inside; `get_total_flops` says how much it was."""
    aten = torch.ops.aten
    left_out = {
        aten.baddbmm_: _sum_of_products,
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten.mv: _matrix_by_vector,
    }
    with FlopCounterMode(display=False, custom_mapping=left_out) as counter:
        yield counter


def _sum_of_products(_: Shape, a_BMK: Shape, b_BKN: Shape, **rest: Any) -> int:
    return 2 * a_BMK.numel() * b_BKN[2]


def _attention(q_BHQD: Shape, k_BHKD: Shape, v_BHKE: Shape, *given: Any, **rest: Any) -> int:
    """Both of its products: queries with keys, and weights with values."""
    batch, heads, queries, channels = q_BHQD
    return 2 * batch * heads * queries * k_BHKD[2] * (channels + v_BHKE[3])


def _matrix_by_vector(a_MK: Shape, _: Shape, **rest: Any) -> int:
    return 2 * a_MK.numel()

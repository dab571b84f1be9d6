"""Operations are counted as they are done, in place or not."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from model.network.mask_decoder import MULTIPLE_MASKS, MaskDecoder

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Of the decoder: prompts, tokens (five of its own, a click's two), heads, image cells, channels
# outside and inside of attention, a head's, and the feed-forward layer's.
P, T, H, L, C, D, FF = 3, 5 + 2, 8, 6 * 6, 256, 128, 2048
d, R = D // H, T * H
LAYERS, MASKS, DRAWN = 2, 4, 3


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("products")


def of_tokens() -> int:
    """What the tokens cost a prompt whatever the image: projections, each other, feed-forward."""
    to_each_other = 4 * T * C * C + 2 * T * T * C
    to_cells_and_back = 2 * T * C * D + 2 * T * C * D
    last_answer = 2 * T * C * D
    return LAYERS * (to_each_other + to_cells_and_back + 2 * T * C * FF) + last_answer


def of_scores(behind: int) -> int:
    """Tokens meet the cells: the base, the constant of all but the first layer, the updates."""
    base = R * d * L * (2 if behind else 1)
    return base + behind * (R * C * D + R * R * d + R * R * L)


def of_mixing(behind: int) -> int:
    return R * L * d + behind * (R * R * L + R * C * D + R * R * d)


def of_norm(updates: int) -> int:
    """Products of every update with the base, and of each two, by their directions."""
    pairs = updates * (updates + 1) // 2
    return updates * R * d * L + pairs * (R * R * C + R * R * L)


def of_cells() -> int:
    answers = sum(of_scores(behind) + of_mixing(behind) for behind in range(LAYERS + 1))
    updates = sum(of_scores(n) + R * d * C + of_norm(n + 1) for n in range(LAYERS))
    return answers + updates


def of_drawing() -> int:
    """Of a prompt with masks: cells made of the updates, 4 times 4 pixels of each, then masks."""
    made = LAYERS * (R * C * C + L * R * C)
    return made + 4 * L * (C // 4) * (4 * C // 8) + DRAWN * (C // 8) * 16 * L


def of_heads() -> int:
    """Predicted IoU, and the weights of the masks."""
    return 2 * C * C + C * MASKS + DRAWN * (2 * C * C + C * C // 8)


@torch.inference_mode()
def test_a_batch_of_the_decoder_counts_what_its_algebra_says(products: ModuleType) -> None:
    decoder = MaskDecoder().eval()
    side = int(L**0.5)
    embedding, codes, dense = torch.randn(3, 1, C, side, side)
    image = decoder.share(embedding, decoder.constants(decoder.project_positions(codes)), dense)
    chosen = torch.tensor([[True] * DRAWN, [False] * DRAWN, [True] * DRAWN])
    with products.counted_products() as counter:
        attended = decoder.attend(image, torch.randn(P, 2, C))
        decoder.predict_iou(attended)
        decoder.draw_chosen(attended, MULTIPLE_MASKS, chosen, one_by_one=True)
    drawn_prompts = 2
    expected = P * (of_tokens() + of_cells() + of_heads()) + drawn_prompts * of_drawing()
    assert counter.get_total_flops() == 2 * expected


@torch.inference_mode()
def test_what_torch_does_in_one_step_counts_as_in_several(products: ModuleType) -> None:
    q, k, v = torch.randn(1, 2, 5, 4), torch.randn(1, 2, 6, 4), torch.randn(1, 2, 6, 4)
    with products.counted_products() as several:
        (q @ k.transpose(-2, -1)).softmax(-1) @ v
    with products.counted_products() as one:
        F.scaled_dot_product_attention(q, k, v)
    assert one.get_total_flops() == several.get_total_flops() == 2 * 2 * (2 * 5 * 6 * 4)

    with products.counted_products() as by_vector:
        torch.randn(5, 4) @ torch.randn(4)
    assert by_vector.get_total_flops() == 2 * 5 * 4

from __future__ import annotations

import pytest
import torch

from model.network.transformer import Attention, TwoWayTransformer
from tests.model.official_sam import sharpen

PROMPTS, TOKENS, CELLS = 3, 6, 20


@pytest.fixture(scope="module")
def transformer() -> TwoWayTransformer:
    torch.manual_seed(2)
    return sharpen(TwoWayTransformer(depth=2, channels=32, heads=4, hidden=64)).eval()


@torch.inference_mode()
def test_an_image_shared_by_all_prompts_equals_a_copy_for_each(
    transformer: TwoWayTransformer,
) -> None:
    cells, codes = torch.randn(1, CELLS, 32), torch.randn(1, CELLS, 32)
    tokens = torch.randn(PROMPTS, TOKENS, 32)
    positions = transformer.project_positions(codes)

    shared = transformer(transformer.prepare(cells, positions), tokens)
    copied = transformer(transformer.prepare(cells.repeat(PROMPTS, 1, 1), positions), tokens)

    torch.testing.assert_close(shared[0], copied[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shared[1].cells_NLC, copied[1].cells_NLC, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_projecting_the_position_code_by_itself_equals_projecting_the_sum(
    transformer: TwoWayTransformer,
) -> None:
    cells, codes = torch.randn(1, CELLS, 32), torch.randn(1, CELLS, 32)
    block = transformer.layers[0]

    seen = block.project_cells(cells, block.project_positions(codes))

    keys = block.cross_attn_token_to_image.k_proj(cells + codes)
    queries = block.cross_attn_image_to_token.q_proj(cells + codes)
    torch.testing.assert_close(seen.keys, keys, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen.queries, queries, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_attention_is_softmax_of_scaled_products() -> None:
    attention = Attention(16, heads=1, downsample=2)
    q, k = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    weights = (attention.q_proj(q) @ attention.k_proj(k).transpose(1, 2) / 8**0.5).softmax(-1)
    expected = attention.out_proj(weights @ attention.v_proj(k))
    torch.testing.assert_close(attention(q, k, k), expected, atol=1e-5, rtol=1e-5)


def test_heads_must_divide_the_inner_width() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide 16 channels"):
        Attention(32, heads=3, downsample=2)

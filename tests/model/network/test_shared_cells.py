"""The image shared among prompts gives the numbers of an image for every prompt."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.checkpoints import load_checkpoint
from model.network.mask_decoder import MULTIPLE_MASKS, Attended, MaskDecoder
from model.network.prompt_encoder import PromptEncoder
from model.network.sam import Sam
from model.network.transformer import TwoWayTransformer
from tests.model.official_sam import photo, sharpen

PROMPTS = 5
CHANNELS, HEADS = 32, 4
HW = (5, 4)
CELLS = HW[0] * HW[1]


def narrow_transformer(depth: int) -> TwoWayTransformer:
    torch.manual_seed(depth)
    return sharpen(TwoWayTransformer(depth, CHANNELS, HEADS, hidden=64)).double().eval()


def both_ways(
    decoder: MaskDecoder, embedding: Tensor, codes: Tensor, sparse: Tensor, dense: Tensor
) -> tuple[Attended, Attended]:
    """Attended over plain cells, and over shared ones."""
    positions = decoder.project_positions(codes)
    plain = decoder.prepare(embedding, positions, dense)
    shared = decoder.share(embedding, decoder.constants(positions), dense)
    return decoder.attend(plain, sparse), decoder.attend(shared, sparse)


def clicks(encoder: PromptEncoder, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    xy = torch.rand(PROMPTS, 1, 2) * hw[0] * 16
    sparse, dense = encoder(xy, torch.ones(PROMPTS, 1), None, None, embedding_hw=hw)
    return sparse, dense


def random_decoder() -> tuple[PromptEncoder, MaskDecoder]:
    torch.manual_seed(0)
    return PromptEncoder().eval(), sharpen(MaskDecoder()).eval()


@pytest.mark.parametrize("depth", [1, 2, 3])
@torch.inference_mode()
def test_the_sum_is_exact(depth: int) -> None:
    """In double precision nothing but algebra is left: any forgotten term would show."""
    transformer = narrow_transformer(depth)
    cells, codes = torch.randn(2, 1, CELLS, CHANNELS).double()
    tokens = torch.randn(PROMPTS, 7, CHANNELS).double()
    weight, bias = torch.randn(8, CHANNELS).double(), torch.randn(8).double()
    positions = transformer.project_positions(codes)

    plain_tokens, plain = transformer(transformer.prepare(cells, positions), tokens)
    image = transformer.share(cells[0], transformer.constants(positions), weight, bias)
    shared_tokens, shared = transformer(image, tokens)

    some = slice(3, 11)
    exact = {"atol": 1e-11, "rtol": 0}
    torch.testing.assert_close(shared_tokens, plain_tokens, **exact)
    torch.testing.assert_close(
        shared.projected(weight, bias, some), plain.projected(weight, bias, some), **exact
    )


@pytest.mark.parametrize("hw", [(32, 32), (64, 64)], ids=["512 px", "1024 px"])
@torch.inference_mode()
def test_random_decoders_answer_alike_in_single_precision(hw: tuple[int, int]) -> None:
    encoder, decoder = random_decoder()
    sparse, dense = clicks(encoder, hw)
    codes = encoder.dense_positions(hw)
    plain, shared = both_ways(decoder, torch.randn(1, 256, *hw), codes, sparse, dense)

    expected = decoder.draw(plain, MULTIPLE_MASKS)
    assert expected.std() > 0.05
    torch.testing.assert_close(decoder.draw(shared, MULTIPLE_MASKS), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        decoder.predict_iou(shared), decoder.predict_iou(plain), atol=1e-5, rtol=0
    )


@torch.inference_mode()
def test_the_trained_decoder_answers_alike_on_a_photo() -> None:
    """Trained weights have outliers that random ones have not: logits reach tens."""
    sam: Sam = load_checkpoint("starter").sam
    side = sam.input_size
    hw = (side // 16, side // 16)
    image = torch.from_numpy(photo(side, side)).permute(2, 0, 1).unsqueeze(0)
    embedding = sam.image_encoder(sam.normalise(image))
    sparse, dense = clicks(sam.prompt_encoder, hw)
    codes = sam.prompt_encoder.dense_positions(hw)
    plain, shared = both_ways(sam.mask_decoder, embedding, codes, sparse, dense)

    expected = sam.mask_decoder.draw(plain, MULTIPLE_MASKS)
    drawn = sam.mask_decoder.draw(shared, MULTIPLE_MASKS)
    torch.testing.assert_close(drawn, expected, atol=3e-4, rtol=1e-5)
    torch.testing.assert_close(
        sam.mask_decoder.predict_iou(shared), sam.mask_decoder.predict_iou(plain), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("scale", [0.0, 1e-3, 30.0])
@torch.inference_mode()
def test_flat_faint_and_strong_images_are_no_exception(scale: float) -> None:
    """A layer norm's variance is a sum of products here: it must not turn negative or vanish."""
    encoder, decoder = random_decoder()
    sparse, dense = clicks(encoder, HW)
    codes = encoder.dense_positions(HW)
    embedding = torch.randn(1, 256, 1, 1).expand(-1, -1, *HW) * scale
    plain, shared = both_ways(decoder, embedding, codes, sparse, dense)

    torch.testing.assert_close(shared.masks_P4C, plain.masks_P4C, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        decoder.draw(shared, slice(None)), decoder.draw(plain, slice(None)), atol=1e-4, rtol=1e-4
    )


@torch.inference_mode()
def test_no_weight_is_so_small_that_products_with_it_are_slow() -> None:
    """Strong attention leaves most cells next to nothing, as the starter's does on photos."""
    encoder, decoder = random_decoder()
    sparse, dense = clicks(encoder, HW)
    embedding = 100 * torch.randn(1, 256, *HW)
    _, shared = both_ways(decoder, embedding, encoder.dense_positions(HW), sparse, dense)

    weights = torch.cat([update.weights_PTHL.flatten() for update in shared.cells.updates])
    scale = shared.cells.scale_PL.min()
    assert (weights == 0).any()
    assert weights[weights > 0].min() > 1e-16 * scale


@torch.inference_mode()
def test_a_prompt_is_answered_the_same_in_any_company() -> None:
    encoder, decoder = random_decoder()
    sparse, dense = clicks(encoder, HW)
    constants = decoder.constants(decoder.project_positions(encoder.dense_positions(HW)))
    image = decoder.share(torch.randn(1, 256, *HW), constants, dense)

    together = decoder.attend(image, sparse)
    alone = decoder.attend(image, sparse[2:3])

    chosen = together.select(slice(2, 3))
    torch.testing.assert_close(alone.iou_PC, chosen.iou_PC, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        decoder.draw(alone, slice(None)), decoder.draw(chosen, slice(None)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("way", [0, 1], ids=["plain", "shared"])
@torch.inference_mode()
def test_drawing_chosen_masks_equals_drawing_all_and_choosing(way: int, one_by_one: bool) -> None:
    encoder, decoder = random_decoder()
    hw = (19, 6)  # more rows than are drawn at once, and a rest
    sparse, dense = clicks(encoder, hw)
    codes = encoder.dense_positions(hw)
    attended = both_ways(decoder, torch.randn(1, 256, *hw), codes, sparse, dense)[way]
    chosen = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 1, 0]]).bool()

    everything = decoder.draw(attended, MULTIPLE_MASKS)
    drawn = decoder.draw_chosen(attended, MULTIPLE_MASKS, chosen, one_by_one=one_by_one)

    assert drawn.shape == (6, 76, 24)
    torch.testing.assert_close(drawn, everything[chosen], atol=1e-5, rtol=1e-5)
    none = torch.zeros_like(chosen)
    nothing = decoder.draw_chosen(attended, MULTIPLE_MASKS, none, one_by_one=one_by_one)
    assert nothing.shape == (0, 76, 24)


@torch.inference_mode()
def test_cells_refuse_steps_out_of_order() -> None:
    transformer = narrow_transformer(1)
    codes = torch.randn(1, CELLS, CHANNELS).double()
    weight, bias = torch.randn(8, CHANNELS).double(), torch.randn(8).double()
    constants = transformer.constants(transformer.project_positions(codes))
    fresh = transformer.share(codes[0], constants, weight, bias)
    with pytest.raises(RuntimeError, match="through no layer"):
        fresh.projected(weight, bias, slice(None))

    _, done = transformer(fresh, torch.randn(2, 3, CHANNELS).double())
    layer = transformer.layers[0]
    keys = torch.randn(2, 3, CHANNELS // 2).double()
    with pytest.raises(RuntimeError, match="through all layers"):
        done.updated(layer.cross_attn_image_to_token, keys, keys, layer.norm4)

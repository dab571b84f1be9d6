from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.network.mask_decoder import MULTIPLE_MASKS, SINGLE_MASK, Attended, MaskDecoder
from model.network.plain_cells import PlainCells
from model.network.prompt_encoder import PromptEncoder
from tests.model.official_sam import CELLS, INPUT_SIZE, official_small_sam, same_small_sam

HW = (CELLS, CELLS)
PROMPTS = 3


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    return official_small_sam()


@pytest.fixture(scope="module")
def parts(reference: torch.nn.Module) -> tuple[PromptEncoder, MaskDecoder]:
    sam = same_small_sam(reference)
    return sam.prompt_encoder, sam.mask_decoder


def attend(decoder: MaskDecoder, hw: tuple[int, int], sparse: Tensor) -> Attended:
    torch.manual_seed(3)
    embedding, codes, dense = (torch.randn(1, 256, *hw) for _ in range(3))
    prepared = decoder.prepare(embedding, decoder.project_positions(codes), dense)
    return decoder.attend(prepared, sparse)


@pytest.mark.parametrize("points", [0, 1, 9])
@pytest.mark.parametrize("with_box", [False, True])
@pytest.mark.parametrize("with_mask", [False, True])
@torch.inference_mode()
def test_logits_and_predicted_iou_equal_the_official_decoder(
    reference: torch.nn.Module,
    parts: tuple[PromptEncoder, MaskDecoder],
    points: int,
    with_box: bool,
    with_mask: bool,
) -> None:
    encoder, decoder = parts
    torch.manual_seed(points)
    embedding = torch.randn(1, 256, *HW)
    xy = torch.rand(PROMPTS, points, 2) * INPUT_SIZE if points else None
    labels = torch.randint(0, 2, (PROMPTS, points)) if points else None
    boxes = torch.rand(PROMPTS, 4) * INPUT_SIZE if with_box else None
    masks = torch.randn(PROMPTS, 1, 4 * CELLS, 4 * CELLS) * 8 if with_mask else None

    sparse, dense = encoder(xy, labels, boxes, masks, embedding_hw=HW)
    logits, iou = decoder(embedding, encoder.dense_positions(HW), sparse, dense)

    codes = reference.prompt_encoder.get_dense_pe()
    expected_logits, expected_iou = reference.mask_decoder.predict_masks(
        embedding, codes, sparse, dense.expand(len(sparse), -1, -1, -1)
    )
    assert expected_logits.std() > 0.05
    torch.testing.assert_close(logits, expected_logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(iou, expected_iou, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_drawing_equals_transposed_convolutions_and_a_product(
    parts: tuple[PromptEncoder, MaskDecoder],
) -> None:
    _, decoder = parts
    height, width = 3, 5
    attended = attend(decoder, (height, width), torch.randn(PROMPTS, 2, 256))

    cells = attended.cells
    assert isinstance(cells, PlainCells)
    picture = cells.cells_NLC.transpose(1, 2).reshape(PROMPTS, 256, height, width)
    features = decoder.output_upscaling(picture)
    weights = torch.stack(
        [
            mlp(attended.masks_P4C[:, index])
            for index, mlp in enumerate(decoder.output_hypernetworks_mlps)
        ],
        dim=1,
    )
    expected = torch.einsum("pmc,pchw->pmhw", weights, features)

    drawn = decoder.draw(attended, slice(None))
    assert drawn.shape == (PROMPTS, 4, 4 * height, 4 * width)
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("wanted", [SINGLE_MASK, MULTIPLE_MASKS])
@torch.inference_mode()
def test_drawing_some_masks_equals_drawing_all_and_choosing(
    parts: tuple[PromptEncoder, MaskDecoder], wanted: slice
) -> None:
    _, decoder = parts
    attended = attend(decoder, (4, 4), torch.randn(PROMPTS, 2, 256))
    everything = decoder.draw(attended, slice(None))
    torch.testing.assert_close(
        decoder.draw(attended, wanted), everything[:, wanted], atol=1e-5, rtol=1e-5
    )


@torch.inference_mode()
def test_drawing_selected_prompts_equals_drawing_all_and_choosing(
    parts: tuple[PromptEncoder, MaskDecoder],
) -> None:
    _, decoder = parts
    attended = attend(decoder, (4, 4), torch.randn(PROMPTS, 2, 256))
    keep = torch.tensor([True, False, True])
    everything = decoder.draw(attended, slice(None))
    torch.testing.assert_close(
        decoder.draw(attended.select(keep), slice(None)), everything[keep], atol=1e-5, rtol=1e-5
    )
    assert decoder.draw(attended.select(~keep & keep), slice(None)).shape == (0, 4, 16, 16)


def test_every_weight_gets_a_gradient() -> None:
    encoder, decoder = PromptEncoder(), MaskDecoder()
    hw = (4, 4)
    sparse, dense = encoder(
        torch.rand(2, 1, 2) * 64,
        torch.tensor([[1], [0]]),
        torch.rand(2, 4) * 64,
        torch.randn(2, 1, 16, 16),
        embedding_hw=hw,
    )
    embedding = torch.randn(1, 256, *hw, requires_grad=True)
    logits, iou = decoder(embedding, encoder.dense_positions(hw), sparse, dense)
    (logits.square().mean() + iou.square().mean()).backward()
    assert embedding.grad is not None
    assert [name for name, p in decoder.named_parameters() if p.grad is None] == []
    # With points, a box and a mask there is neither padding nor "no mask".
    unused = {name for name, p in encoder.named_parameters() if p.grad is None}
    assert unused <= {"not_a_point_embed.weight", "no_mask_embed.weight"}


def test_images_of_one_batch_may_differ_between_prompts(
    parts: tuple[PromptEncoder, MaskDecoder],
) -> None:
    encoder, decoder = parts
    hw = (4, 4)
    embeddings = torch.randn(2, 256, *hw)
    sparse, dense = encoder(torch.rand(2, 1, 2) * 64, torch.ones(2, 1), None, None, embedding_hw=hw)
    codes = encoder.dense_positions(hw)
    together, _ = decoder(embeddings, codes, sparse, dense)
    alone, _ = decoder(embeddings[1:], codes, sparse[1:], dense)
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-5)

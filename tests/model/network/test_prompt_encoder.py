from __future__ import annotations

import pytest
import torch

from model.network.prompt_encoder import PromptEncoder
from tests.model.official_sam import CELLS, INPUT_SIZE, official_prompt_encoder

HW = (CELLS, CELLS)
PROMPTS = 3


@pytest.fixture(scope="module")
def pair() -> tuple[PromptEncoder, torch.nn.Module]:
    torch.manual_seed(1)
    reference = official_prompt_encoder().eval()
    ours = PromptEncoder().eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    return ours, reference


MAKE_UPS = [
    (points, with_box, with_mask)
    for points in (0, 1, 2, 9)
    for with_box in (False, True)
    for with_mask in (False, True)
    if points or with_box or with_mask
]


@pytest.mark.parametrize(("points", "with_box", "with_mask"), MAKE_UPS)
@torch.inference_mode()
def test_every_make_up_equals_the_official_encoder(
    pair: tuple[PromptEncoder, torch.nn.Module], points: int, with_box: bool, with_mask: bool
) -> None:
    ours, reference = pair
    xy = torch.rand(PROMPTS, points, 2) * INPUT_SIZE if points else None
    labels = torch.randint(-1, 2, (PROMPTS, points)) if points else None
    boxes = torch.rand(PROMPTS, 4) * INPUT_SIZE if with_box else None
    masks = torch.randn(PROMPTS, 1, 4 * CELLS, 4 * CELLS) * 8 if with_mask else None

    sparse, dense = ours(xy, labels, boxes, masks, embedding_hw=HW)
    expected_sparse, expected_dense = reference(None if xy is None else (xy, labels), boxes, masks)

    torch.testing.assert_close(sparse, expected_sparse, atol=1e-5, rtol=0)
    torch.testing.assert_close(dense.expand_as(expected_dense), expected_dense, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_position_codes_of_cells_equal_the_official_ones(
    pair: tuple[PromptEncoder, torch.nn.Module],
) -> None:
    ours, reference = pair
    torch.testing.assert_close(
        ours.dense_positions(HW), reference.get_dense_pe(), atol=1e-5, rtol=0
    )


@torch.inference_mode()
def test_a_point_at_a_cells_centre_has_that_cells_position_code(
    pair: tuple[PromptEncoder, torch.nn.Module],
) -> None:
    ours, _ = pair
    height, width = 3, 5
    # Pixel indices 7 and 8 straddle the centre of the first 16 pixels.
    x, y = 16 * 4 + 7.5, 16 * 2 + 7.5
    sparse, _ = ours(
        torch.tensor([[[x, y]]]), torch.tensor([[1]]), None, None, embedding_hw=(height, width)
    )
    code = sparse[0, 0] - ours.point_embeddings[1].weight[0]
    cell = ours.dense_positions((height, width))[0, :, 2, 4]
    torch.testing.assert_close(code, cell, atol=1e-5, rtol=0)


def test_points_without_labels_are_refused(pair: tuple[PromptEncoder, torch.nn.Module]) -> None:
    with pytest.raises(ValueError, match="go together"):
        pair[0](torch.zeros(1, 1, 2), None, None, None, embedding_hw=HW)

from __future__ import annotations

import torch
from segment_anything.modeling.common import LayerNorm2d as OfficialLayerNorm2d

from model.network.layers import LayerNorm2d, MultiLayerPerceptron


def test_layer_norm_of_a_picture_equals_the_official_one() -> None:
    ours, reference = LayerNorm2d(7), OfficialLayerNorm2d(7)
    with torch.no_grad():
        reference.weight.normal_()
        reference.bias.normal_()
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(2, 7, 3, 5) * 4 + 1
    torch.testing.assert_close(ours(x), reference(x), atol=1e-5, rtol=1e-5)


def test_layer_norm_is_the_same_function_with_channels_last() -> None:
    norm = LayerNorm2d(7)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 7, 3, 5)
    last = norm.channels_last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(last, norm(x), atol=1e-5, rtol=1e-5)


def test_perceptron_has_no_activation_after_the_last_layer() -> None:
    perceptron = MultiLayerPerceptron([4, 8, 3])
    x = torch.randn(100, 4)
    first, second = perceptron.layers
    torch.testing.assert_close(perceptron(x), second(first(x).relu()))
    assert (perceptron(x) < 0).any()

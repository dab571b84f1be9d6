from __future__ import annotations

import torch
from segment_anything.modeling import ImageEncoderViT as OfficialEncoder

from model.network.image_encoder import ImageEncoderViT
from tests.model.official_sam import sharpen


def small_pair(input_size: int = 320) -> tuple[ImageEncoderViT, OfficialEncoder]:
    """Twenty patches a side: two windows of fourteen with padding, and a global block."""
    torch.manual_seed(4)
    reference = OfficialEncoder(
        img_size=input_size,
        patch_size=16,
        embed_dim=48,
        depth=2,
        num_heads=3,
        out_chans=32,
        norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=(1,),
    )
    ours = ImageEncoderViT(
        channels=48, depth=2, heads=3, global_blocks=(1,), input_size=input_size, out_channels=32
    )
    ours.load_state_dict(sharpen(reference).state_dict(), strict=True)
    return ours.eval(), reference.eval()


@torch.inference_mode()
def test_windowed_and_global_blocks_equal_the_official_ones() -> None:
    ours, reference = small_pair()
    image = torch.randn(2, 3, 320, 320)
    torch.testing.assert_close(ours(image), reference(image), atol=1e-4, rtol=0)


@torch.inference_mode()
def test_other_sizes_than_trained_on_are_interpolated() -> None:
    ours, _ = small_pair()
    assert ours(torch.randn(1, 3, 256, 384)).shape == (1, 32, 16, 24)


def test_every_weight_gets_a_gradient() -> None:
    ours, _ = small_pair()
    ours(torch.randn(1, 3, 320, 320)).square().mean().backward()
    assert [name for name, p in ours.named_parameters() if p.grad is None] == []

"""The parts of SAM as modules with flat inputs and outputs, ready to become ONNX graphs.

Three parts by how often they run. `EncoderPart`: once a photo, and the dear one. `ImagePart`: what
the decoder makes of a photo before anybody asked, once a photo, and again once earlier logits are
fed back. `PromptPart`: once for every movement of the pointer, so everything that can be was moved
out of it. `WholeDecoder` is the last two in one.

Shape suffixes: K points, N sparse tokens, C channels (256), h and w of the embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.network.mask_decoder import PreparedImage
from model.network.prompt_encoder import EMBEDDING_STRIDE
from model.network.sam import Sam
from model.network.shared_cells import SharedCells
from model.onnx.one_prompt_cells import OnePromptCells
from model.onnx.tensor_tree import named_tensors, with_tensors


class EncoderPart(nn.Module):
    """The normalised, padded photo (1, 3, S, S) to its features (1, 256, S / 16, S / 16)."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.encoder = sam.image_encoder

    def forward(self, pixels: Tensor) -> Tensor:
        """Run the image encoder."""
        features: Tensor = self.encoder(pixels)
        return features


class ImagePart(nn.Module):
    """Features and earlier logits to everything that prompts share."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam
        side = sam.input_size // EMBEDDING_STRIDE
        self.embedding_hw = (side, side)
        with torch.no_grad():
            positions = sam.prompt_encoder.dense_positions(self.embedding_hw)
            decoder = sam.mask_decoder
            self.constants = decoder.constants(decoder.project_positions(positions))
            template = self._prepare(torch.zeros(1, 256, side, side), self._dense(None))
        # What depends on the weights alone is built into the graphs, not handed from one to the
        # other.
        constant = {id(tensor) for tensor in named_tensors(self.constants).values()}
        self.template = template
        self.names = [
            name for name, tensor in named_tensors(template).items() if id(tensor) not in constant
        ]

    def forward(self, features: Tensor, mask_logits: Tensor, has_mask: Tensor) -> list[Tensor]:
        """What prompts share, in the order of `names`.

        Args:
            features: (1, C, h, w) of the image encoder.
            mask_logits: (1, 1, 4h, 4w) of an earlier answer; of any content without one.
            has_mask: (1,) 1 where there are earlier logits, else 0.
        """
        dense = has_mask * self._dense(mask_logits) + (1 - has_mask) * self._dense(None)
        found = named_tensors(self._prepare(features, dense))
        return [found[name] for name in self.names]

    def _dense(self, mask_logits: Tensor | None) -> Tensor:
        _, dense = self.sam.prompt_encoder(
            None, None, None, mask_logits, embedding_hw=self.embedding_hw
        )
        return dense  # type: ignore[no-any-return]

    def _prepare(self, features: Tensor, dense: Tensor) -> PreparedImage[SharedCells]:
        return self.sam.mask_decoder.share(features, self.constants, dense)


class PromptPart(nn.Module):
    """Points and what they share to four masks and their predicted IoU."""

    def __init__(self, image_part: ImagePart) -> None:
        super().__init__()
        self.sam = image_part.sam
        self.names = image_part.names
        self.template = image_part.template
        self.embedding_hw = image_part.embedding_hw

    def forward(
        self, points_xy: Tensor, point_labels: Tensor, *shared: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (1, 4, 4h, 4w) and predicted IoU (1, 4); mask 0 is for prompts without doubt.

        Args:
            points_xy: (1, K, 2) in pixels of the padded network input.
            point_labels: (1, K) float: 1 on the object, 0 not on it, 2 and 3 the corners of a box,
                -1 no point (to stand behind the points where there is no box).
            shared: what `ImagePart` gave, in its order.
        """
        prepared = with_tensors(self.template, dict(zip(self.names, shared, strict=True)))
        tokens = self.sam.prompt_encoder.embed_points(points_xy, point_labels, self.embedding_hw)
        decoder = self.sam.mask_decoder
        one = PreparedImage(OnePromptCells(prepared.cells.image), self.embedding_hw)
        attended = decoder.attend(one, tokens)
        return decoder.draw(attended, slice(None)), decoder.predict_iou(attended)


class WholeDecoder(nn.Module):
    """Both of the decoder's parts in one: the inputs and outputs of the public repository's export.

    Without its last step, which brings logits to the photo: `meta_form` adds it.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_part = ImagePart(sam)
        self.prompt_part = PromptPart(self.image_part)

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predicted IoU (1, 4) and logits (1, 4, 4h, 4w)."""
        shared = self.image_part(image_embeddings, mask_input, has_mask_input)
        logits, iou = self.prompt_part(point_coords, point_labels, *shared)
        return iou, logits

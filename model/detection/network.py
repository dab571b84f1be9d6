"""The one-class "object" detector: torchvision's Faster R-CNN on a promptable model's embedding.

The paper trains a detector of its own on all masks of the first stage (section 4). Here the frozen
image encoder, which sees every photo anyway, is its backbone: what is left to train and to run is
a small pyramid, the proposal network and the box head, which a CPU does in milliseconds.

Shape suffixes: B photos, C channels, h w of the embedding, N boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from model.network.prompt_encoder import EMBEDDING_STRIDE

EMBEDDING_CHANNELS: Final = 256
CHANNELS: Final = 96
HEAD_CHANNELS: Final = 256
BACKGROUND_AND_OBJECT: Final = 2
MOST_BOXES: Final = 200
# Sides of anchors at strides 8, 16, 32 and 64, for an input of 512 px; they grow with the input.
ANCHOR_SIDES: Final = ((14, 24), (40, 64), (96, 144), (216, 340))
ANCHOR_INPUT: Final = 512
ASPECT_RATIOS: Final = (0.5, 1.0, 2.0)
_ROI_SIDE: Final = 7


class EmbeddingPyramid(nn.Module):
    """An embedding (B, 256, h, w) at strides 8, 16, 32 and 64, `CHANNELS` deep.

    The embedding keeps edges finer than its own stride in its channels, so stride 8 is unfolded
    from it, not interpolated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.finer = nn.ConvTranspose2d(EMBEDDING_CHANNELS, CHANNELS, 2, stride=2)
        self.same = nn.Conv2d(EMBEDDING_CHANNELS, CHANNELS, 3, padding=1)
        self.coarser = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)
        self.coarsest = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, CHANNELS) for _ in ANCHOR_SIDES)

    def forward(self, features_BChw: Tensor) -> dict[str, Tensor]:
        """Maps by the names that `MultiScaleRoIAlign` is given."""
        same = self.same(features_BChw)
        coarser = self.coarser(torch.relu(same))
        levels = [self.finer(features_BChw), same, coarser, self.coarsest(torch.relu(coarser))]
        return {
            str(place): torch.relu(norm(level))
            for place, (norm, level) in enumerate(zip(self.norms, levels, strict=True))
        }


class ObjectDetectorNetwork(nn.Module):
    """Pyramid, proposal network and box head.

    Args:
        input_size: side in pixels of the promptable model's padded square input.
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        scale = input_size / ANCHOR_INPUT
        sides = tuple(tuple(round(side * scale) for side in level) for level in ANCHOR_SIDES)
        # torchvision has no annotations here.
        anchors: Any = AnchorGenerator(sides, (ASPECT_RATIOS,) * len(sides))  # type: ignore[no-untyped-call]
        self.pyramid = EmbeddingPyramid()
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(CHANNELS, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=128,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 600, "testing": 400},
            post_nms_top_n={"training": 400, "testing": 300},
            nms_thresh=0.7,
        )
        levels = [str(place) for place in range(len(sides))]
        self.roi_heads = RoIHeads(  # type: ignore[no-untyped-call]
            MultiScaleRoIAlign(levels, _ROI_SIDE, 2),
            TwoMLPHead(CHANNELS * _ROI_SIDE**2, HEAD_CHANNELS),  # type: ignore[no-untyped-call]
            FastRCNNPredictor(HEAD_CHANNELS, BACKGROUND_AND_OBJECT),  # type: ignore[no-untyped-call]
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=64,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=0.05,
            nms_thresh=0.6,
            detections_per_img=MOST_BOXES,
        )

    def losses(
        self,
        features_BChw: Tensor,
        scaled_hw: Sequence[tuple[int, int]],
        boxes_N4: Sequence[Tensor],
    ) -> Mapping[str, Tensor]:
        """The four losses of Faster R-CNN.

        Args:
            features_BChw: embeddings.
            scaled_hw: of each photo inside the padded input.
            boxes_N4: of each photo, corners in pixels of the input; none is allowed.
        """
        targets = [
            {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64)}
            for boxes in boxes_N4
        ]
        maps = self.pyramid(features_BChw)
        photos = self._photos(features_BChw, scaled_hw)
        proposals, rpn_losses = self.rpn(photos, maps, targets)
        _, box_losses = self.roi_heads(maps, proposals, photos.image_sizes, targets)
        return {**rpn_losses, **box_losses}

    def forward(
        self, features_BChw: Tensor, scaled_hw: Sequence[tuple[int, int]]
    ) -> list[tuple[Tensor, Tensor]]:
        """Boxes (N, 4), corners in pixels of the input, and scores (N,) of each photo."""
        maps = self.pyramid(features_BChw)
        photos = self._photos(features_BChw, scaled_hw)
        proposals, _ = self.rpn(photos, maps)
        found, _ = self.roi_heads(maps, proposals, photos.image_sizes)
        return [(photo["boxes"], photo["scores"]) for photo in found]

    def _photos(self, features_BChw: Tensor, scaled_hw: Sequence[tuple[int, int]]) -> ImageList:
        """Only sizes are asked of it: no pixel is in memory."""
        batch = features_BChw.shape[0]
        side = features_BChw.shape[-1] * EMBEDDING_STRIDE
        return ImageList(features_BChw.new_empty(1).expand(batch, 3, side, side), list(scaled_hw))

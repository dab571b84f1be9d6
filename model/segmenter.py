"""The seam between the model and everything that uses it. No torch.

A segmenter embeds an image once, then answers any number of prompts about it. It keeps no state
between calls: several embeddings may be alive, several threads may ask at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from model.geometry import Geometry
from model.prompts import Prompt


@runtime_checkable
class Embedding(Protocol):
    """What the image encoder made of one image; opaque, may live on a device."""

    @property
    def geometry(self) -> Geometry:
        """How the image was fitted into the network's input."""
        ...

    @property
    def model_id(self) -> str:
        """The model that made it; another model refuses it."""
        ...

    def to_bytes(self) -> bytes:
        """A self-contained copy for a store, read by `PromptableSegmenter.embedding_from_bytes`."""
        ...


@dataclass(frozen=True, eq=False)
class Proposals:
    """The model's answers to P prompts, M masks each.

    Attributes:
        predicted_iou: (P, M) float32, the model's own estimate of each mask's IoU.
        index: (N, 2) int32 rows (prompt, mask) of the masks that have logits, in ascending order;
            N = P * M unless a limit on predicted IoU was given.
        logits: (N, h, w) float32 low-resolution logits, positive inside the mask; `geometry`
            brings them to the image.
        geometry: of the embedding that was asked.
    """

    predicted_iou: NDArray[np.float32]
    index: NDArray[np.int32]
    logits: NDArray[np.float32]
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.predicted_iou.ndim != 2 or self.index.shape != (len(self.logits), 2):
            raise ValueError(
                f"proposals do not fit together: predicted_iou {self.predicted_iou.shape}, "
                f"index {self.index.shape}, logits {self.logits.shape}"
            )


@runtime_checkable
class EmbedsSeveral(Protocol):
    """What a segmenter may be able to do besides; GPUs are idle without it."""

    def embed_several(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[Embedding]:
        """As `PromptableSegmenter.embed` for each image, in one batch."""
        ...


class PromptableSegmenter(Protocol):
    """A promptable segmentation model, as SAM is one (paper, section 3)."""

    @property
    def model_id(self) -> str:
        """16 hex digits derived from the weights and nothing else."""
        ...

    @property
    def input_size(self) -> int:
        """Side in pixels of the square that images are fitted into."""
        ...

    def embed(self, image_HWC: NDArray[np.uint8]) -> Embedding:
        """Runs the image encoder once on an upright RGB image (H, W, 3)."""
        ...

    def embedding_from_bytes(self, data: bytes) -> Embedding:
        """Reads what `Embedding.to_bytes` wrote.

        Raises:
            ValueError: if the bytes are damaged or another model made them.
        """
        ...

    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        """Answers P prompts about one embedded image.

        Args:
            embedding: made by this model.
            prompts: each with its own number of points, box, earlier logits; answers do not
                depend on which prompts are asked together.
            multimask: three masks a prompt (whole, part, subpart) where one click is ambiguous,
                or the single mask meant for prompts that are not.
            min_predicted_iou: logits only of masks whose predicted IoU is at least this; saves
                the upscaling of the others.

        Raises:
            ValueError: if another model made the embedding.
        """
        ...


def embed_several(
    segmenter: PromptableSegmenter, images: Sequence[NDArray[np.uint8]]
) -> Sequence[Embedding]:
    """Embeds images, in one batch where the segmenter can."""
    if len(images) > 1 and isinstance(segmenter, EmbedsSeveral):
        return segmenter.embed_several(images)
    return [segmenter.embed(image_HWC) for image_HWC in images]

"""A trained detector that finds boxes, and its file. Needs torch.

The file is a checkpoint like any other (safetensors, a card in the header); its architecture is
`object_detector`, and its parent the promptable model whose embeddings it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from model.boxes import FoundBoxes
from model.checkpoint_card import CheckpointCard
from model.checkpoints import write_checkpoint
from model.detection.network import ObjectDetectorNetwork
from model.errors import CheckpointError
from model.sam_embedding import SamEmbedding
from model.segmenter import Embedding
from model.weight_files import is_safetensors, read_header_card, read_safetensors
from model.weights_id import weights_id

ARCHITECTURE: Final = "object_detector"
INPUT_SIZE: Final = "input_size"
"""The metric of the card under which the input's side stands: anchors grow with it."""


class ObjectDetector:
    """The `BoxDetector` that a file of weights is; any number of threads may ask.

    Args:
        network: with its weights.
        card: of its file.
    """

    def __init__(self, network: ObjectDetectorNetwork, card: CheckpointCard) -> None:
        self._network = network.eval()
        self._card = card

    @property
    def detector_id(self) -> str:
        """16 hex digits derived from its weights."""
        return self._card.model_id

    @property
    def model_id(self) -> str:
        """The promptable model whose embeddings it reads."""
        return self._card.parent or ""

    @property
    def card(self) -> CheckpointCard:
        """What its file says about it."""
        return self._card

    @torch.inference_mode()
    def find(self, embedding: Embedding) -> FoundBoxes:
        """Boxes of an embedded photo, the surest first.

        Raises:
            ValueError: if another model made the embedding.
        """
        if not isinstance(embedding, SamEmbedding) or embedding.model_id != self.model_id:
            raise ValueError(
                f"the embedding was made by model {embedding.model_id}, this detector reads those "
                f"of {self.model_id}: train one on this model's embeddings"
            )
        geometry = embedding.geometry
        ((boxes, scores),) = self._network(embedding.features, [geometry.scaled_hw])
        corners = geometry.to_original_xy(boxes.cpu().numpy().reshape(-1, 2, 2))
        height, width = geometry.original_hw
        # From edges to last pixels.
        last_xy = np.array([width - 1, height - 1], np.float32)
        corners[:, 1] = np.maximum(corners[:, 1] - 1, corners[:, 0])
        inside = np.clip(corners, 0, last_xy).astype(np.float32)
        return FoundBoxes(inside.reshape(-1, 4), scores.cpu().numpy().astype(np.float32))


def save_detector(
    path: str | os.PathLike[str],
    network: ObjectDetectorNetwork,
    *,
    model_id: str,
    data: Sequence[str] = (),
    metrics: Mapping[str, float] | None = None,
) -> CheckpointCard:
    """Saves weights and card, atomically.

    Args:
        path: where; has to end in .safetensors.
        network: the trained one.
        model_id: of the promptable model whose embeddings it was trained on.
        data: names of what it was trained on.
        metrics: measured results by name.

    Raises:
        ValueError: if the file's name does not end so.
    """
    target = Path(path)
    if not is_safetensors(target):
        raise ValueError(f"detectors are saved as .safetensors, not as {target.name}")
    weights = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    card = CheckpointCard(
        ARCHITECTURE,
        weights_id(weights),
        parent=model_id,
        data=tuple(data),
        metrics={**(metrics or {}), INPUT_SIZE: network.input_size},
    )
    write_checkpoint(target, weights, card)
    return card


def load_detector(path: str | os.PathLike[str]) -> ObjectDetector:
    """Reads a detector's file.

    Raises:
        CheckpointError: the file is missing, broken, or no detector.
    """
    card = read_detector_card(path)
    weights = read_safetensors(Path(path))
    network = ObjectDetectorNetwork(int(card.metrics[INPUT_SIZE]))
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(
            f"{path} does not fit this version's detector ({first}): train it again"
        ) from None
    if weights_id(weights) != card.model_id:
        raise CheckpointError(f"{path} is damaged: get the file again, or train it again")
    return ObjectDetector(network, card)


def read_detector_card(path: str | os.PathLike[str]) -> CheckpointCard:
    """What a detector says about itself, without loading it.

    Raises:
        CheckpointError: the file is missing, broken, or no detector.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(
            f"{path}: no such detector; `mask-engine train-detector CONFIG` makes one"
        )
    card = read_header_card(file)
    if card.architecture != ARCHITECTURE or INPUT_SIZE not in card.metrics:
        raise CheckpointError(
            f"{path} is a checkpoint of {card.architecture!r}, no detector; "
            "`mask-engine train-detector CONFIG` makes one"
        )
    return card

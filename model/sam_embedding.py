"""One image as a SAM network sees it, and how it is kept in a store. Needs torch.

The bytes are one line of JSON (what, of which model, how big, checksum), then the features as
little-endian float32: readable without this package, and nothing in them is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.geometry import Geometry
from model.network.mask_decoder import PreparedImage
from model.network.shared_cells import SharedCells

_FORMAT: Final = "mask-engine embedding 1"
_FEATURES: Final = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class SamEmbedding:
    """What the image encoder made of one image, ready for any number of prompts.

    Attributes:
        features: (1, 256, h, w), the image encoder's output.
        prepared: the decoder's share of work that is the same for all prompts.
        geometry: how the image was fitted into the network's input.
        model_id: the model that made it.
    """

    features: Tensor
    prepared: PreparedImage[SharedCells]
    geometry: Geometry
    model_id: str

    def to_bytes(self) -> bytes:
        """The features and what belongs to them, without loss."""
        features_Chw = self.features[0].cpu().numpy().astype(_FEATURES)
        body = features_Chw.tobytes()
        head = {
            "format": _FORMAT,
            "model_id": self.model_id,
            "original_hw": self.geometry.original_hw,
            "input_size": self.geometry.input_size,
            "shape": features_Chw.shape,
            "blake2b": _checksum(body),
        }
        return json.dumps(head).encode() + b"\n" + body


def features_from_bytes(data: bytes, model_id: str) -> tuple[NDArray[np.float32], Geometry]:
    """Features (1, 256, h, w) and geometry of what `SamEmbedding.to_bytes` wrote.

    Raises:
        ValueError: the bytes are damaged, or another model than `model_id` made them.
    """
    line, _, body = data.partition(b"\n")
    head = _parse_head(line)
    if head["model_id"] != model_id:
        raise ValueError(
            f"the stored embedding was made by model {head['model_id']}, this is {model_id}: "
            "embed the image again"
        )
    if head["blake2b"] != _checksum(body):
        raise ValueError(f"the stored embedding is damaged ({len(data)} bytes): embed again")
    features_Chw = np.frombuffer(body, _FEATURES).reshape(head["shape"])
    height, width = head["original_hw"]
    return features_Chw[np.newaxis].astype(np.float32), Geometry(
        (height, width), head["input_size"]
    )


def _parse_head(line: bytes) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise ValueError(f"not a stored embedding: it should begin with {_FORMAT!r}")
    return head


def _checksum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()

"""The id of a model: a digest of its weights and of nothing else. Needs torch."""

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_id(weights: Mapping[str, Tensor]) -> str:
    """16 hex digits over name, shape, dtype and bytes of every weight, sorted by name.

    The kind of file does not enter: the same weights have the same id as .pth and as safetensors.
    """
    digest = hashlib.blake2b()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(json.dumps([name, list(tensor.shape), dtype]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]

"""The average of checkpoints that come from one another: often better than any of them.

Fine-tuned weights and those they began from lie in one valley, and its middle keeps what both know
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" and "Model soups"). Of networks that
were trained apart the average is worth nothing. Needs torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint_card import CheckpointCard
from model.checkpoints import LoadedCheckpoint, load_checkpoint, save_checkpoint
from model.errors import CheckpointError
from model.weight_files import is_safetensors


def average_checkpoints(shares: Mapping[str, float], out: str | os.PathLike[str]) -> CheckpointCard:
    """Save the weighted mean of checkpoints' weights; thresholds and results are left empty.

    Args:
        shares: how much each counts, by name or path; they are divided by their sum.
        out: a new .safetensors file.

    Returns:
        The new card: its parent is the checkpoint with the largest share, its data that of all.

    Raises:
        CheckpointError: fewer than two checkpoints, a share that is not above 0, networks of
            different architectures, or `out` is there already or has another ending.
    """
    target = Path(out)
    _check(shares, target)
    total = sum(shares.values())
    by_share = sorted(shares, key=lambda name: -shares[name])
    loaded = [load_checkpoint(name) for name in by_share]
    _check_alike(by_share, loaded)
    parts = [shares[name] / total for name in by_share]
    first = loaded[0]
    first.sam.load_state_dict(_mean([one.sam.state_dict() for one in loaded], parts))
    origin = " and ".join(
        f"{part:.3g} of {one.model_id}" for part, one in zip(parts, loaded, strict=True)
    )
    return save_checkpoint(
        target,
        first.sam,
        parent=first.model_id,
        data=list(dict.fromkeys(name for one in loaded for name in one.card.data)),
        notes=f"Average of weights: {origin}.",
    )


def _check(shares: Mapping[str, float], target: Path) -> None:
    if len(shares) < 2:
        raise CheckpointError("an average is of two different checkpoints at least: give another")
    for name, share in shares.items():
        if not (math.isfinite(share) and share > 0):
            raise CheckpointError(f"the share of {name} is {share}, expected a number above 0")
    if target.exists():
        raise CheckpointError(f"{target} is there already: give another file to write to")
    if not is_safetensors(target):
        raise CheckpointError(f"checkpoints are saved as .safetensors, not as {target.name}")
    if not target.parent.is_dir():
        raise CheckpointError(f"{target.parent} is no folder: make it, or give another file")


def _check_alike(names: Sequence[str], loaded: Sequence[LoadedCheckpoint]) -> None:
    for name, one in zip(names, loaded, strict=True):
        if one.architecture != loaded[0].architecture:
            raise CheckpointError(
                f"{name} is of the architecture {one.architecture}, {names[0]} of "
                f"{loaded[0].architecture}: only networks that come from one another have a mean"
            )


def _mean(weights: Sequence[Mapping[str, Tensor]], parts: Sequence[float]) -> dict[str, Tensor]:
    """Weight by weight; counters are the first one's."""
    return {
        name: torch.stack([w[name] * part for w, part in zip(weights, parts, strict=True)]).sum(0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in weights[0].items()
    }

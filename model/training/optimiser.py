"""AdamW's parameter groups and the learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

_ENCODER: Final = "sam.image_encoder."
_BLOCKS: Final = f"{_ENCODER}blocks."
_EMBEDDINGS: Final = (f"{_ENCODER}pos_embed", f"{_ENCODER}patch_embed.")


class OptimiserParameters(BaseModel):
    """AdamW, its schedule and the limits on a step."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    learning_rate: float = Field(default=8e-4, gt=0, description="peak (paper: 8e-4)")
    betas: tuple[float, float] = Field(
        default=(0.9, 0.999), strict=False, description="AdamW's momenta"
    )
    weight_decay: float = Field(default=0.1, ge=0, description="on matrices, not on biases, norms")
    warmup_steps: int = Field(default=250, ge=0, description="linear from 0 (paper: 250)")
    schedule: Literal["cosine", "steps", "hold"] = Field(
        default="cosine",
        description="cosine to 0; x0.1 at `drops`; or held, then linear to 0 over the last share",
    )
    drops: tuple[float, ...] = Field(
        default=(0.6667, 0.963),
        strict=False,
        description="shares of the run where `steps` divides by 10",
    )
    decay_share: float = Field(
        default=0.25, ge=0, le=1, description="last share of the run in which `hold` falls to 0"
    )
    encoder_rate: float = Field(
        default=1.0, ge=0, description="factor on the image encoder's learning rate; 0 freezes it"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="factor from each layer of a ViT to the one below it: the neck has 1, the last "
        "block this, the patch and position embeddings the smallest (paper: 0.8)",
    )
    clip_norm: float = Field(default=1.0, gt=0, description="largest norm of all gradients")


def learning_rate_factor(step: int, steps: int, parameters: OptimiserParameters) -> float:
    """The factor on the peak learning rate at `step`, counted from 0."""
    if step < parameters.warmup_steps:
        return (step + 1) / parameters.warmup_steps
    if parameters.schedule == "steps":
        return 0.1 ** sum(step >= share * steps for share in parameters.drops)
    if parameters.schedule == "hold":
        falling = max(1.0, parameters.decay_share * steps)
        return max(0.0, min(1.0, (steps - step) / falling))
    done = (step - parameters.warmup_steps) / max(1, steps - parameters.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def build_optimiser(
    modules: Mapping[str, nn.Module], parameters: OptimiserParameters
) -> torch.optim.AdamW:
    """AdamW over all parameters that learn; each group carries its own peak rate, `peak_lr`.

    Raises:
        ValueError: nothing is left to learn.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    named = list(_named(modules))
    blocks = 1 + max((_block_index(name) for name, _ in named), default=-1)
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
        rate = parameters.learning_rate * _rate_factor(name, blocks, parameters)
        decay = parameters.weight_decay if parameter.ndim > 1 else 0.0
        if rate > 0:
            groups.setdefault((rate, decay), []).append(parameter)
    if not groups:
        raise ValueError("every part of the network is frozen: leave at least one to train")
    return torch.optim.AdamW(
        [
            {"params": members, "lr": rate, "peak_lr": rate, "weight_decay": decay}
            for (rate, decay), members in groups.items()
        ],
        betas=parameters.betas,
        # One kernel for all tensors: half the time of a step's update on a CPU.
        fused=True,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to `factor` times its peak rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor


def _named(modules: Mapping[str, nn.Module]) -> Iterable[tuple[str, nn.Parameter]]:
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            yield f"{prefix}.{name}", parameter


def _rate_factor(name: str, blocks: int, parameters: OptimiserParameters) -> float:
    """The image encoder's own factor, and a layer's of a ViT of so many blocks by its depth.

    Depths as in ViTDet (Li et al. 2022): embeddings 0, blocks 1, 2, ..., what follows them last.
    """
    if not name.startswith(_ENCODER):
        return 1.0
    if not blocks:
        return parameters.encoder_rate
    depth = blocks + 1
    if name.startswith(_EMBEDDINGS):
        depth = 0
    elif name.startswith(_BLOCKS):
        depth = 1 + _block_index(name)
    return parameters.encoder_rate * parameters.layer_decay ** (blocks + 1 - depth)


def _block_index(name: str) -> int:
    """Which of the image encoder's blocks a parameter belongs to, from 0; -1 for none."""
    return int(name.removeprefix(_BLOCKS).split(".")[0]) if name.startswith(_BLOCKS) else -1

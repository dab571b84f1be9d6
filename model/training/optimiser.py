"""AdamW's parameter groups and the learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn


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
        description="factor from each block of a ViT to the one below it (paper: 0.8)",
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
    for name, parameter in _named(modules):
        if not parameter.requires_grad:
            continue
        rate = parameters.learning_rate * _rate_factor(name, parameters)
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


def _rate_factor(name: str, parameters: OptimiserParameters) -> float:
    """The image encoder's own factor, and a ViT block's by its depth."""
    if not name.startswith("sam.image_encoder."):
        return 1.0
    factor = parameters.encoder_rate
    if parameters.layer_decay < 1 and ".blocks." in name:
        depth_index = int(name.split(".blocks.")[1].split(".")[0])
        # Twelve blocks in ViT-B; deeper ones only start lower, which the decay itself bounds.
        factor *= parameters.layer_decay ** max(0, 11 - depth_index)
    return factor

"""A slowly moving average of the weights: what is evaluated and kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of a module's parameters.

    Args:
        module: averaged as it is now to begin with.
        decay: share of the old average that stays at each step; smaller early on, so that the
            random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self.weights = {name: p.detach().clone() for name, p in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move a step towards the module's weights."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        current = module.state_dict()
        moving = [name for name, tensor in current.items() if tensor.is_floating_point()]
        ours = [self.weights[name] for name in moving]
        torch._foreach_lerp_(ours, [current[name] for name in moving], 1 - decay)
        for name in current.keys() - set(moving):
            self.weights[name].copy_(current[name])

    def state_dict(self) -> dict[str, object]:
        """Weights and how many steps they saw."""
        return {"weights": self.weights, "steps": self._steps}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take over what `state_dict` gave."""
        weights: dict[str, Tensor] = state["weights"]  # type: ignore[assignment]
        self.weights = {name: tensor.clone() for name, tensor in weights.items()}
        self._steps = int(state["steps"])  # type: ignore[call-overload]

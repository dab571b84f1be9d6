"""Training of the object detector: one step at a time, on examples from anywhere. Needs torch."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from model.detection.network import ObjectDetectorNetwork

MOST_GRADIENT: Final = 5.0


class DetectorSchedule(BaseModel):
    """How long and how fast the detector learns."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    steps: int = Field(default=1500, gt=0, description="Steps in all.")
    images_per_step: int = Field(default=4, gt=0, description="Photos a step.")
    learning_rate: float = Field(default=5e-4, gt=0, description="The highest; AdamW, cosine.")
    warm_up_steps: int = Field(default=100, ge=0, description="Steps until it is reached.")
    weight_decay: float = Field(default=1e-2, ge=0, description="Of AdamW.")
    seed: int = Field(default=0, ge=0, description="Of everything that is drawn.")


@dataclass(frozen=True, eq=False)
class DetectorExample:
    """One photo as the promptable model sees it, and where its objects are.

    Attributes:
        features_Chw: its embedding.
        scaled_hw: size of the photo inside the padded input, in pixels.
        boxes_N4: (N, 4) float32 left, top, right, bottom in pixels of the input.
    """

    features_Chw: NDArray[np.floating]
    scaled_hw: tuple[int, int]
    boxes_N4: NDArray[np.float32]


class DetectorTrainer:
    """Network, optimiser and the number of steps done.

    The same seed, examples and threads give the same weights, also when training is stopped and
    goes on from a saved state.
    """

    def __init__(self, input_size: int, schedule: DetectorSchedule) -> None:
        torch.manual_seed(schedule.seed)
        self.network = ObjectDetectorNetwork(input_size)
        self.step = 0
        self._schedule = schedule
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), weight_decay=schedule.weight_decay
        )

    @property
    def is_done(self) -> bool:
        """Whether all steps were done."""
        return self.step >= self._schedule.steps

    def learn(self, examples: Sequence[DetectorExample]) -> float:
        """One step; returns the sum of the four losses."""
        # What the proposal network draws depends on the step alone, so that a resumed run agrees.
        torch.manual_seed(self._schedule.seed * 1_000_003 + self.step)
        self.network.train()
        for group in self._optimiser.param_groups:
            group["lr"] = _learning_rate(self._schedule, self.step)
        features = torch.from_numpy(np.stack([e.features_Chw for e in examples])).float()
        losses = self.network.losses(
            features,
            [example.scaled_hw for example in examples],
            [torch.from_numpy(example.boxes_N4) for example in examples],
        )
        loss = torch.stack(list(losses.values())).sum()
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MOST_GRADIENT)
        self._optimiser.step()
        self.step += 1
        return float(loss.detach())

    def save_state(self, path: Path) -> None:
        """Writes everything that going on needs, whole or not at all."""
        part = path.with_suffix(f".{os.getpid()}.part")
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        torch.save(state, part)
        part.replace(path)

    def load_state(self, path: Path) -> None:
        """Goes on where `save_state` was called."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])


def _learning_rate(schedule: DetectorSchedule, step: int) -> float:
    if step < schedule.warm_up_steps:
        return schedule.learning_rate * (step + 1) / schedule.warm_up_steps
    left = schedule.steps - schedule.warm_up_steps
    done = (step - schedule.warm_up_steps) / max(left, 1)
    return schedule.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))

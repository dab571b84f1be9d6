"""The training loop: batches in, a better network out. Data, files and pictures are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from model.network.sam import Sam
from model.training.averaging import MovingAverage
from model.training.edge_head import EdgeHead
from model.training.examples import TrainingBatch
from model.training.losses import MaskLossParameters
from model.training.optimiser import (
    OptimiserParameters,
    build_optimiser,
    learning_rate_factor,
    set_learning_rate,
)
from model.training.path_drops import PathDrops
from model.training.rounds import BatchFigures, RoundParameters, SimulatedRounds


class LoopParameters(BaseModel):
    """One training run, apart from its data."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    steps: int = Field(gt=0, description="optimiser steps")
    seed: int = Field(default=0, description="of the annotators' choices")
    accumulate: int = Field(default=1, gt=0, description="batches an optimiser step")
    average_decay: float = Field(default=0.999, ge=0, lt=1, description="of the averaged weights")
    plain_steps: int = Field(
        default=0, ge=0, description="steps with `plain_loss`, which cannot collapse at first"
    )
    plain_loss: MaskLossParameters = MaskLossParameters(cross_entropy=1.0, focal=0.0, dice=1.0)
    loss: MaskLossParameters = MaskLossParameters()
    rounds: RoundParameters = RoundParameters()
    optimiser: OptimiserParameters = OptimiserParameters()


class LossIsNotANumberError(RuntimeError):
    """The loss or a gradient became NaN or infinite; the last state on disk is still good."""


@dataclass(frozen=True)
class StepFigures:
    """What one step did, for the log."""

    step: int
    learning_rate: float
    gradient_norm: float
    loss: float
    edge_loss: float
    iou_first_round: float
    iou_last_round: float
    iou_error: float


class Trainer:
    """A network with everything that changes while it learns.

    Args:
        sam: trained in place; frozen parameters stay as they are.
        parameters: the run.
        synchronise: called with the modules after the backward pass; averages gradients over
            processes where there are several.
        precision: type of the network's inner numbers where that saves time, or None.
        cache: folder for the embeddings of a frozen image encoder, or None.
        drops: the image encoder's drop path, or None.
    """

    def __init__(
        self,
        sam: Sam,
        parameters: LoopParameters,
        synchronise: Callable[[list[nn.Parameter]], None] | None = None,
        precision: torch.dtype | None = None,
        cache: Path | None = None,
        drops: PathDrops | None = None,
    ) -> None:
        self.sam = sam
        self.edge_head = EdgeHead() if parameters.rounds.edge_weight else None
        self.parameters = parameters
        self.step = 0
        self._synchronise = synchronise
        self._rounds = SimulatedRounds(sam, self.edge_head, parameters.rounds, cache)
        self._precision = precision
        self._drops = drops
        modules: dict[str, nn.Module] = {"sam": sam}
        if self.edge_head is not None:
            modules["edge_head"] = self.edge_head.to(sam.device)
        self.optimiser = build_optimiser(modules, parameters.optimiser)
        self.average = MovingAverage(sam, parameters.average_decay)
        self._learning = [p for group in self.optimiser.param_groups for p in group["params"]]

    def train_step(self, batches: Iterator[TrainingBatch]) -> StepFigures:
        """Take as many batches as one optimiser step needs, and take the step.

        Raises:
            LossIsNotANumberError: before anything was changed.
        """
        parameters = self.parameters
        factor = learning_rate_factor(self.step, parameters.steps, parameters.optimiser)
        set_learning_rate(self.optimiser, factor)
        is_plain = self.step < parameters.plain_steps
        loss = parameters.plain_loss if is_plain else parameters.loss
        with torch.autocast(
            self.sam.device.type, dtype=self._precision, enabled=self._precision is not None
        ):
            figures = [
                self._learn_from(next(batches), batch, loss)
                for batch in range(parameters.accumulate)
            ]
        if self._synchronise is not None:
            self._synchronise(self._learning)
        norm = float(nn.utils.clip_grad_norm_(self._learning, parameters.optimiser.clip_norm))
        self._refuse_nan(figures, norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.average.update(self.sam)
        self.step += 1
        return self._summarise(figures, norm, factor)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to go on as if nothing had happened."""
        return {
            "step": self.step,
            "sam": self.sam.state_dict(),
            "edge_head": self.edge_head.state_dict() if self.edge_head is not None else None,
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.step = state["step"]
        self.sam.load_state_dict(state["sam"])
        if self.edge_head is not None and state["edge_head"] is not None:
            self.edge_head.load_state_dict(state["edge_head"])
        peaks = [group["peak_lr"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        # A run may go on with another learning rate than its state was saved with.
        for group, peak in zip(self.optimiser.param_groups, peaks, strict=True):
            group["peak_lr"] = peak
        self.average.load_state_dict(state["average"])

    def _learn_from(
        self, examples: TrainingBatch, batch: int, loss: MaskLossParameters
    ) -> BatchFigures:
        if self._drops is not None:
            self._drops.begin(self.step, batch)
        scale = 1 / self.parameters.accumulate
        return self._rounds.run(examples, loss, self._choices(batch), scale)

    def _choices(self, batch: int) -> np.random.Generator:
        """What the annotators of a step's batch choose by: seeded by its number alone, so that a
        resumed run clicks as the unbroken one would have, and so that all processes go through
        the same rounds: where an annotator clicks takes as many draws as there are errors.
        """  # noqa: D205 - one sentence, several lines
        return np.random.default_rng([self.parameters.seed, self.step, batch])

    def _refuse_nan(self, figures: list[BatchFigures], norm: float) -> None:
        if math.isfinite(norm) and all(math.isfinite(f.loss) for f in figures):
            return
        raise LossIsNotANumberError(
            f"step {self.step}: loss {[f.loss for f in figures]}, gradient norm {norm}; the "
            "weights were not touched. Lower session.loop.optimiser.learning_rate or clip_norm "
            "and run it again in the same folder: it goes on from its last state"
        )

    def _summarise(self, figures: list[BatchFigures], norm: float, factor: float) -> StepFigures:
        fields = [asdict(f) for f in figures]
        mean = {name: float(np.mean([f[name] for f in fields])) for name in fields[0]}
        mean.pop("rounds")
        return StepFigures(
            step=self.step,
            learning_rate=self.parameters.optimiser.learning_rate * factor,
            gradient_norm=norm,
            **mean,
        )

"""A training run that survives: starts from a checkpoint or from nothing, saves, resumes, exports.

This is the one thing of `model.training` that the engine talks to; tensors stay behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.checkpoint_card import CheckpointCard
from model.checkpoints import LoadedCheckpoint, load_checkpoint, read_card, save_checkpoint
from model.errors import ConfigurationError
from model.network.architectures import build_sam
from model.network.sam import PIXEL_MEAN, Sam
from model.sam_segmenter import SamSegmenter
from model.training.adaptation import (
    Part,
    add_low_rank,
    freeze_parts,
    freeze_statistics,
    merge_low_rank,
)
from model.training.examples import TrainingBatch
from model.training.loop import LoopParameters, StepFigures, Trainer
from model.training.parallel import ProcessGroup, join_processes
from model.training.path_drops import PathDrops
from model.training.state import load_state, save_state


class SessionParameters(BaseModel):
    """What is trained, from where, on what."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    start: str = Field(
        description="architecture for random weights (tiny, vit_b, ...), or a checkpoint"
    )
    device: str = Field(default="cpu", description="cpu, cuda, cuda:1, ...")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16: mixed precision, worth it on a GPU only"
    )
    frozen: tuple[Part, ...] = Field(
        default=(),
        strict=False,
        description="parts that keep their weights: image_encoder, prompt_encoder, mask_decoder",
    )
    frozen_statistics: bool = Field(
        default=False,
        description="batch norms keep their statistics; for batches of a few large pictures",
    )
    drop_path: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="how often a picture goes without what the last block of a ViT adds, blocks "
        "before it less often (stochastic depth; paper: 0.4); 0: never",
    )
    low_rank: int = Field(
        default=0,
        ge=0,
        description="rank of LoRA matrices beside the linear layers of a frozen image encoder",
    )
    cache_embeddings: bool = Field(
        default=False,
        description="keep a frozen image encoder's embeddings on disk (with data.repeat_after)",
    )
    loop: LoopParameters

    @model_validator(mode="after")
    def _only_what_stays_can_be_kept(self) -> SessionParameters:
        if self.cache_embeddings and ("image_encoder" not in self.frozen or self.low_rank):
            raise ValueError("cache_embeddings needs image_encoder among frozen, and low_rank 0")
        return self

    @model_validator(mode="after")
    def _drops_only_from_what_learns(self) -> SessionParameters:
        learns = "image_encoder" not in self.frozen or self.low_rank
        if self.drop_path and not (learns and self.loop.optimiser.encoder_rate):
            raise ValueError("drop_path needs an image_encoder that learns: it is frozen here")
        return self


class TrainingSession:
    """One run: the network, where it stands, and the folder that keeps it.

    Args:
        parameters: what is trained, from where, on what.
        folder: holds the state; a run that was killed goes on from it.

    Raises:
        ConfigurationError: the start is unknown, or nothing is left to train.
    """

    def __init__(self, parameters: SessionParameters, folder: Path) -> None:
        self._parameters = parameters
        self._folder = folder
        self.processes: ProcessGroup = join_processes(parameters.device)
        torch.manual_seed(parameters.loop.seed)
        sam, self._parent = _start(parameters.start)
        # Images keep channels last through the convolutions; weights to match save a copy each.
        sam.image_encoder.to(memory_format=torch.channels_last)
        sam.to(parameters.device)
        freeze_parts(sam, parameters.frozen)
        if parameters.frozen_statistics:
            freeze_statistics(sam)
        if parameters.low_rank:
            add_low_rank(sam, parameters.low_rank)
        try:
            self._trainer = Trainer(
                sam,
                parameters.loop,
                self.processes.average_gradients,
                precision=torch.bfloat16 if parameters.precision == "bfloat16" else None,
                cache=folder / "embeddings" if parameters.cache_embeddings else None,
                drops=self._drops_of(sam),
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        self._resume()

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self._trainer.step

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self._parameters.loop.steps

    @property
    def batches_done(self) -> int:
        """Batches used so far by each process."""
        return self._trainer.step * self._parameters.loop.accumulate

    def train_step(self, batches: Iterator[TrainingBatch]) -> StepFigures:
        """One optimiser step.

        Raises:
            LossIsNotANumberError: before anything was changed.
        """
        return self._trainer.train_step(batches)

    def save(self) -> None:
        """Keep the state; a kill at any moment leaves this one or the one before."""
        if self.processes.is_first:
            save_state(self._folder, self._trainer.state_dict())

    def export(self, path: Path, data: Sequence[str], notes: str = "") -> CheckpointCard:
        """Write the averaged weights as a checkpoint that everything else can load."""
        return save_checkpoint(
            path, self._averaged_sam(), parent=self._parent, data=data, notes=notes
        )

    @staticmethod
    def card_of(path: Path) -> CheckpointCard:
        """The card of a checkpoint that `export` wrote."""
        return read_card(path)

    def masks_of_clicks(
        self, image_HWC: NDArray[np.uint8], points_xy: Sequence[tuple[float, float]]
    ) -> list[NDArray[np.bool_]]:
        """What the averaged weights answer to single clicks, for sample pictures."""
        from model.prompts import Prompt

        sam = self._averaged_sam()
        height, width = image_HWC.shape[:2]
        # Where pictures are windows of a frame, this one is its corner: as large as in training.
        image_HWC = _in_frame(image_HWC, self._parameters.loop.rounds.frame_px)
        sam.input_size = max(32, 32 * math.ceil(max(image_HWC.shape[:2]) / 32))
        card = CheckpointCard(sam.architecture, "0" * 16)
        segmenter = SamSegmenter(LoadedCheckpoint(sam, card))
        embedding = segmenter.embed(image_HWC)
        answer = segmenter.segment(embedding, [Prompt.of([p]) for p in points_xy], multimask=True)
        best = answer.predicted_iou.argmax(1)
        logits = answer.logits.reshape(len(points_xy), -1, *answer.logits.shape[1:])
        rows, columns = answer.geometry.row_weights(), answer.geometry.column_weights()
        masks = [rows @ logits[i, k] @ columns.T > 0 for i, k in enumerate(best)]
        return [mask[:height, :width] for mask in masks]

    def close(self) -> None:
        """Leave the group of processes."""
        self.processes.leave()

    def _drops_of(self, sam: Sam) -> PathDrops | None:
        rate, seed = self._parameters.drop_path, self._parameters.loop.seed
        return PathDrops(sam, rate, seed=seed, rank=self.processes.rank) if rate else None

    def _averaged_sam(self) -> Sam:
        sam = build_sam(self._trainer.sam.architecture)
        weights = merge_low_rank(self._trainer.average.weights, self._parameters.low_rank)
        sam.load_state_dict(weights)
        return sam.eval()

    def _resume(self) -> None:
        state: dict[str, Any] | None = load_state(self._folder)
        if state is None:
            return
        try:
            self._trainer.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"{self._folder}: its state does not fit this configuration "
                f"({str(error).splitlines()[0]}); give another --out to start anew"
            ) from None


def _start(start: str) -> tuple[Sam, str | None]:
    """Random weights of an architecture, or a checkpoint and its model_id."""
    from model.network.architectures import ARCHITECTURES

    if start in ARCHITECTURES:
        return build_sam(start), None
    loaded = load_checkpoint(start)
    return loaded.sam.train(), loaded.model_id


def _in_frame(image_HWC: NDArray[np.uint8], frame_px: int) -> NDArray[np.uint8]:
    """The picture in the top left corner of a square of so many px, if it is smaller."""
    height, width = image_HWC.shape[:2]
    if max(height, width) >= frame_px:
        return image_HWC
    grey = np.full((frame_px, frame_px, 3), np.round(PIXEL_MEAN), np.uint8)
    grey[:height, :width] = image_HWC
    return grey

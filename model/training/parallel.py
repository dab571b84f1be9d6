"""Several training processes as one: each takes its own batches, gradients are averaged.

Gradients are averaged by hand once a step, after all rounds of clicks have added theirs;
`DistributedDataParallel` would do it after each of the rounds' backward passes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class ProcessGroup:
    """Which of how many training processes this is; `rank` counts from 0."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """The first process writes files and shows progress."""
        return self.rank == 0

    def average_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes.

        All processes run the same rounds in a step, so the same parameters have gradients.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def wait(self) -> None:
        """Go on once every process has come here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """Leave the group; call once, at the end."""
        if self.size > 1:
            dist.destroy_process_group()


def join_processes(device: str) -> ProcessGroup:
    """Join the group that `torchrun` describes in the environment; alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ProcessGroup(0, 1)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return ProcessGroup(dist.get_rank(), dist.get_world_size())

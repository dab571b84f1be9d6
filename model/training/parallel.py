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
        """Replace every gradient by its mean over all processes; none counts as zero.

        What one process did not use another may have (a prompt of another kind), so all of them
        exchange all parameters, and how many had a gradient: one that nobody used keeps none, and
        the optimiser leaves it alone, as in a process that trains by itself.
        """
        if self.size == 1 or not parameters:
            return
        gradients = [p.new_zeros(p.shape) if p.grad is None else p.grad for p in parameters]
        used = parameters[0].new_tensor([float(p.grad is not None) for p in parameters])
        flat = torch.cat([*(g.flatten() for g in gradients), used])
        dist.all_reduce(flat)
        flat /= self.size
        *means, used = torch.split(flat, [*(p.numel() for p in parameters), len(parameters)])
        for parameter, mean, share in zip(parameters, means, used.tolist(), strict=True):
            if not share:
                continue
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            parameter.grad.copy_(mean.view_as(parameter))  # into its own memory format

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

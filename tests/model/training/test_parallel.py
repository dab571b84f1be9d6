import os
import socket
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from model.training.loop import LoopParameters, Trainer
from model.training.optimiser import OptimiserParameters
from model.training.parallel import ProcessGroup, join_processes
from model.training.path_drops import PathDrops
from model.training.rounds import RoundParameters
from tests.model.training.example_factory import batches
from tests.model.training.small_vit import small_vit


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _join(rank: int, port: int) -> ProcessGroup:
    """One of two processes joins the other, as torchrun would have it."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return join_processes("cpu")


def _average_in_one_process(rank: int, port: int, folder: str) -> None:
    group = _join(rank, port)
    kernel = torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last)
    used, unused = nn.Parameter(kernel), nn.Parameter(torch.zeros(4))
    of_second = nn.Parameter(torch.zeros(3))
    used.grad = torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last) * rank
    if rank == 1:
        of_second.grad = torch.full((3,), 4.0)
    group.average_gradients([unused, used, of_second])
    torch.save(
        (group.is_first, used.grad, unused.grad, of_second.grad), Path(folder) / f"{rank}.pt"
    )
    group.leave()


def _train_in_one_process(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    group = _join(rank, port)
    sam = small_vit()
    rounds = RoundParameters(round_shares=(0.3, 0.3, 0.4), innermost_share=0.5)
    optimiser = OptimiserParameters(learning_rate=1e-3, warmup_steps=0, schedule="hold")
    parameters = LoopParameters(
        steps=9, plain_steps=9, accumulate=3, rounds=rounds, optimiser=optimiser
    )
    drops = PathDrops(sam, 0.5, seed=0, rank=rank)
    trainer = Trainer(sam, parameters, group.average_gradients, drops=drops)
    asked = _prompts_of(trainer)
    # Annotators of the second process have one thing less to click on, and so draw less often.
    drawn = islice(batches(examples=1, nothing=rank), rank, None, 2)
    for _ in range(3):
        trainer.train_step(drawn)
    weights = {name: p.detach() for name, p in trainer.sam.named_parameters()}
    torch.save((weights, asked), Path(folder) / f"{rank}.pt")
    group.leave()


def _prompts_of(trainer: Trainer) -> list[str]:
    """Filled while it trains: what each round of each batch was asked with."""
    asked: list[str] = []

    def note(_: nn.Module, prompt: tuple[torch.Tensor | None, ...]) -> None:
        points, _, boxes, logits = prompt
        clicks = 0 if points is None else points.shape[1]
        asked.append(f"{clicks} clicks, {boxes is not None=}, {logits is not None=}")

    trainer.sam.prompt_encoder.register_forward_pre_hook(note)
    return asked


@pytest.mark.slow
def test_two_processes_end_up_with_the_same_mean_gradient(tmp_path: Path) -> None:
    mp.spawn(_average_in_one_process, args=(_free_port(), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert (first[0], second[0]) == (True, False)
    assert torch.equal(first[1], torch.arange(24.0).view(2, 3, 2, 2) / 2)
    assert first[1].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(first[1], second[1])
    assert first[2] is None
    assert torch.equal(first[3], torch.full((3,), 2.0))
    assert torch.equal(first[3], second[3])


@pytest.mark.slow
def test_two_processes_that_accumulate_go_through_the_same_rounds_to_the_same_weights(
    tmp_path: Path,
) -> None:
    """However many draws each one's annotators take, and whichever paths each one drops."""
    mp.spawn(_train_in_one_process, args=(_free_port(), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first[1] == second[1]
    assert len(first[1]) > len(set(first[1])) > 2  # several rounds, begun in both ways
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


def test_a_process_alone_changes_nothing() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    group = ProcessGroup(0, 1)
    group.average_gradients([parameter])
    group.leave()
    assert group.is_first
    assert torch.equal(parameter.grad, torch.ones(2))

import os
import socket
from pathlib import Path

import torch
import torch.multiprocessing as mp
from torch import nn

from model.training.parallel import ProcessGroup, join_processes


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _average_in_one_process(rank: int, port: int, folder: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    group = join_processes("cpu")
    used, unused = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4))
    used.grad = torch.full((2, 3), float(rank))
    group.average_gradients([used, unused])
    torch.save((group.is_first, used.grad, unused.grad), Path(folder) / f"{rank}.pt")
    group.leave()


def test_two_processes_end_up_with_the_same_mean_gradient(tmp_path: Path) -> None:
    mp.spawn(_average_in_one_process, args=(_free_port(), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert (first[0], second[0]) == (True, False)
    assert torch.equal(first[1], torch.full((2, 3), 0.5))
    assert torch.equal(first[1], second[1])
    assert first[2] is None


def test_a_process_alone_changes_nothing() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    group = ProcessGroup(0, 1)
    group.average_gradients([parameter])
    group.leave()
    assert group.is_first
    assert torch.equal(parameter.grad, torch.ones(2))

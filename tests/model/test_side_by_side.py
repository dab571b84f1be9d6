from __future__ import annotations

import threading
import time

import pytest
import torch

from model.side_by_side import side_by_side


@pytest.fixture
def two_torch_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_items_are_worked_on_at_once_and_come_back_in_order() -> None:
    both_there = threading.Barrier(2, timeout=20)

    def work(number: int) -> int:
        both_there.wait()  # breaks if one had to end before the other begins
        time.sleep(0.01 * (number % 2 == 0))
        return number

    assert list(side_by_side(work, range(6), threads=2)) == list(range(6))


@pytest.mark.parametrize(("threads", "items"), [(1, 3), (4, 1), (4, 0)])
def test_one_thread_or_one_item_stays_with_the_caller(threads: int, items: int) -> None:
    found = side_by_side(lambda _: threading.get_ident(), range(items), threads)
    assert list(found) == [threading.get_ident()] * items


def test_an_error_arrives_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("item 1")
        time.sleep(0.02)

    with pytest.raises(ValueError, match="item 1"):
        list(side_by_side(work, range(100), threads=2))
    assert len(begun) < 50


def test_torch_computes_with_one_thread_in_each_and_as_before_elsewhere(
    two_torch_threads: None,
) -> None:
    inside = set(side_by_side(lambda _: torch.get_num_threads(), range(4), threads=2))
    later: list[int] = []
    new = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert (inside, torch.get_num_threads(), later) == ({1}, 2, [2])

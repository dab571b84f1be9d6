from __future__ import annotations

from engine.clicks.bell import Bell


def no_sleep(seconds: float) -> None:
    """Time goes by on the clock alone."""


def test_a_ring_wakes_who_waits(tmp_path):
    bell = Bell(tmp_path / "clicks")
    mark = bell.mark()
    asked = []

    def ring_at_the_second_look(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 2:
            Bell(tmp_path / "clicks").ring()

    assert bell.wait(mark, 60.0, sleep=ring_at_the_second_look)
    assert len(asked) == 2


def test_a_ring_after_the_mark_is_not_missed(tmp_path):
    bell = Bell(tmp_path)
    mark = bell.mark()
    bell.ring()
    assert bell.wait(mark, 0.0, sleep=no_sleep)


def test_without_a_ring_the_time_ends(tmp_path):
    assert not Bell(tmp_path).wait(Bell(tmp_path).mark(), 0.01, sleep=no_sleep)
    nobodys = Bell(None)
    nobodys.ring()
    assert not nobodys.wait(nobodys.mark(), 0.01, sleep=no_sleep)

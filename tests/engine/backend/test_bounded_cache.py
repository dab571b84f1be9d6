from __future__ import annotations

from engine.backend.bounded_cache import BoundedCache


def cache(max_bytes: int = 10) -> BoundedCache[str, bytes]:
    return BoundedCache(max_bytes, len)


def test_what_was_used_longest_ago_goes_first() -> None:
    kept = cache()
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    kept.get("a")
    kept.put("c", b"1234")

    assert kept.get("b") is None
    assert kept.get("a") == b"1234"
    assert kept.held_bytes == 8


def test_a_value_larger_than_the_cache_is_not_kept() -> None:
    kept = cache()
    kept.put("a", b"1" * 11)

    assert kept.get("a") is None
    assert kept.held_bytes == 0


def test_a_replaced_value_is_counted_once() -> None:
    kept = cache()
    kept.put("a", b"123")
    kept.put("a", b"12345")

    assert len(kept) == 1
    assert kept.held_bytes == 5

from __future__ import annotations

import pytest

from stages import ids

MASK = {
    "image": "a" * 32,
    "size_hw": (3, 4),
    "counts": "04L",
    "origin": "automatic",
    "maker": "m" * 16,
    "derived_from": None,
}


def test_ids_never_change() -> None:
    """Data sets out there carry them; `printf ... | b2sum` gives the same."""
    assert ids.image_id("photos", "a/b.jpg") == "c35e7fb753cc20b39f7ee5bc7bd923f1"
    assert ids.mask_id(**MASK) == "41d3f9380b66bdcc350454e1c61d5071"  # type: ignore[arg-type]
    assert ids.digest('{"a": 1}') == "2240e8b0b61c13b0"


def test_source_and_path_do_not_run_into_each_other() -> None:
    assert ids.image_id("a", "b/c") != ids.image_id("ab", "/c")
    assert ids.image_id("a", "b") != ids.image_id("b", "a")


def test_names_may_be_in_any_script() -> None:
    assert len(ids.image_id("фото", "猫 1.jpg")) == 32


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("image", "b" * 32),
        ("size_hw", (4, 3)),
        ("counts", "13L"),
        ("origin", "human"),
        ("maker", "n" * 16),
        ("derived_from", "c" * 32),
    ],
)
def test_everything_a_mask_is_made_of_is_in_its_id(field: str, other: object) -> None:
    assert ids.mask_id(**(MASK | {field: other})) != ids.mask_id(**MASK)  # type: ignore[arg-type]

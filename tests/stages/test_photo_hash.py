from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.photo_hash import bands, differing_bits, groups_of, perceptual_hash
from tests.factories import make_pixels

HASHES = st.integers(0, 2**64 - 1)


def photo(name: str) -> np.ndarray:
    return np.asarray(Image.open(f"examples/photos/{name}").convert("RGB"))


def test_the_same_photo_smaller_recompressed_or_brighter_has_the_same_hash() -> None:
    original = photo("chelsea.png")
    small = np.asarray(Image.fromarray(original).resize((150, 100)))
    buffer = io.BytesIO()
    Image.fromarray(original).save(buffer, format="JPEG", quality=40)
    recompressed = np.asarray(Image.open(buffer))
    brighter = np.clip(original.astype(int) + 15, 0, 255).astype(np.uint8)

    for changed in (small, recompressed, brighter):
        assert differing_bits(perceptual_hash(original), perceptual_hash(changed)) <= 3


def test_other_photos_have_other_hashes() -> None:
    hashes = [perceptual_hash(photo(name)) for name in ("chelsea.png", "coffee.png", "coins.png")]
    hashes += [perceptual_hash(make_pixels(seed=seed)) for seed in range(5)]

    apart = [differing_bits(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 10


@given(HASHES, st.sets(st.integers(0, 63), max_size=15))
def test_hashes_that_are_alike_share_a_band(value: int, flipped: set[int]) -> None:
    other = value
    for bit in flipped:
        other ^= 1 << bit

    assert set(bands(value, len(flipped))) & set(bands(other, len(flipped)))


def test_groups_follow_chains_of_pairs() -> None:
    groups = groups_of("abcde", [("b", "c"), ("a", "b"), ("e", "d")])

    assert groups == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}

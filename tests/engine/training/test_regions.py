"""Regions of photos, kept on disk: by several processes at once, and never another photo's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from engine.training.regions import cached_region_levels
from tests.engine.training.photo_factory import boxes_photo


def test_two_processes_may_keep_the_same_photo_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = boxes_photo(0)
    rename = Path.replace
    own = os.getpid()

    def overtaken(self: Path, target: Path) -> Path:
        """The other process comes and goes between the first one's writing and renaming."""
        monkeypatch.setattr(Path, "replace", rename)
        monkeypatch.setattr(os, "getpid", lambda: own + 1)
        cached_region_levels(Path("a/images/1.jpg"), image, tmp_path)
        return self.replace(target)

    monkeypatch.setattr(Path, "replace", overtaken)

    made = cached_region_levels(Path("a/images/1.jpg"), image, tmp_path)

    (kept,) = tmp_path.iterdir()
    with np.load(kept) as file:
        assert (file["levels"] == made).all()


def test_photos_of_one_name_in_two_folders_keep_their_own_regions(tmp_path: Path) -> None:
    first, second = (boxes_photo(seed)[0] for seed in (0, 1))
    here = cached_region_levels(Path("a/images/1.jpg"), first, tmp_path)
    there = cached_region_levels(Path("b/a/images/1.jpg"), second, tmp_path)
    assert not np.array_equal(here, there)
    assert np.array_equal(cached_region_levels(Path("a/images/1.jpg"), second, tmp_path), here)

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ConfigurationError
from pipelines.automatic import run_automatic
from pipelines.estimate import estimate_run
from tests.fakes import SlowDiscSegmenter, disc_segmenter
from tests.pipelines.runs import make_photos, quick, run_quickly


def slow() -> SlowDiscSegmenter:
    return SlowDiscSegmenter(seconds_per_image=0.1)


def test_a_dry_run_counts_and_estimates_and_writes_nothing(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 10)
    config = quick(photos, tmp_path / "run", shard_size=3, dry_run=True)
    estimate = estimate_run(config, segmenter=slow)
    assert (estimate.images, estimate.shards, estimate.sampled) == (10, 4, 3)
    assert 1.0 <= estimate.seconds < 30
    assert not (tmp_path / "run").exists()


def test_disk_is_estimated_within_a_factor_of_three(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 8)
    estimate = estimate_run(quick(photos, tmp_path / "run"), segmenter=disc_segmenter)
    run_quickly(photos, tmp_path / "run")
    used = sum(path.stat().st_size for path in (tmp_path / "run/shards").iterdir())
    assert used / 3 < estimate.disk_bytes < used * 3


def test_failed_samples_are_said(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no photo")
    estimate = estimate_run(quick(tmp_path, tmp_path / "run"), segmenter=disc_segmenter)
    assert (estimate.sampled, estimate.sampled_failed) == (1, 1)


def test_a_dry_run_is_not_run(tmp_path: Path) -> None:
    config = quick(make_photos(tmp_path / "photos", 1), tmp_path / "run", dry_run=True)
    with pytest.raises(ConfigurationError, match="a dry run makes nothing"):
        run_automatic(config, segmenter=disc_segmenter)

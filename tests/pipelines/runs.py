"""Small folders of photos and quick runs over them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pipelines.automatic import AutomaticRun, Summary, run_automatic
from pipelines.progress import Progress
from pipelines.shards import read_rows
from stages.records import ImageRow
from tests.factories import make_photo_bytes
from tests.fakes import disc_segmenter

FEW_POINTS = {"points_per_side": 3, "min_region_area_px": 0}


def make_photos(folder: Path, count: int = 6, *, first: int = 0) -> Path:
    """Photos `000.png`, `001.png`, ... of different content."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        data = make_photo_bytes(seed=number, file_format="PNG")
        (folder / f"{number:03d}.png").write_bytes(data)
    return folder


def quick(source: Path | str, out: Path | str, **settings: Any) -> AutomaticRun:
    """A run that takes milliseconds a photo."""
    defaults: dict[str, Any] = {"parameters": FEW_POINTS, "threads": 1, "shard_size": 2}
    return AutomaticRun(source=str(source), out=str(out), **(defaults | settings))


def run_quickly(source: Path | str, out: Path | str, **settings: Any) -> Summary:
    return run_automatic(quick(source, out, **settings), segmenter=disc_segmenter)


def shard_digests(out: Path | str) -> dict[str, str]:
    """sha256 of each shard, by its name."""
    shards = sorted((Path(out) / "shards").iterdir())
    return {shard.name: hashlib.sha256(shard.read_bytes()).hexdigest() for shard in shards}


def rows_by_path(out: Path | str) -> dict[str, ImageRow]:
    return {row.ref.path: row for row in read_rows(str(out))}


class Recorder:
    """A progress callback that remembers."""

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)

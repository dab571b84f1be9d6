"""What Beam and the shards cost: on top of a bare loop, and in memory as runs get longer.

    python benchmarks/overhead.py [--loop-photos N] [--few N] [--many N]

The model is a stub that costs next to nothing, so the shares shown here are upper bounds: with a
real model behind, the same milliseconds are a smaller share.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from stub_segmenter import StubSegmenter

from pipelines.automatic import AutomaticRun, run_automatic
from pipelines.image_work import ImageRecipe, load_photo, make_row
from pipelines.plan import PlannedImage
from pipelines.sources import list_photos
from pipelines.workers import without_import_noise
from stages.presets import parameters_for

BAR = 0.05
DISTINCT_PHOTOS = 16
ROUNDS = 3


def main() -> int:
    """Runs both measurements; the exit code says whether both bars are met."""
    arguments = _arguments()
    if arguments.measure_memory:
        print(json.dumps(_run(Path(arguments.measure_memory), grid=8)))
        return 0
    with tempfile.TemporaryDirectory(prefix="mask-engine-bench-") as folder:
        met = [
            _compare_time(Path(folder), arguments.loop_photos),
            _compare_memory(Path(folder), arguments.few, arguments.many),
        ]
    return 0 if all(met) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--loop-photos",
        type=int,
        default=192,
        help="photos of the time test; a run pays 0.3 s once",
    )
    parser.add_argument("--few", type=int, default=200, help="photos of the short run")
    parser.add_argument("--many", type=int, default=2000, help="photos of the long run")
    parser.add_argument("--measure-memory", help=argparse.SUPPRESS)
    return parser.parse_args()


def _compare_time(folder: Path, photos: int) -> bool:
    """Turns about, so that other work on the machine hits both; the best of each counts."""
    with without_import_noise():
        import pipelines.beam_pipeline  # noqa: F401 - imports are no part of a photo's cost
    source = _photos(folder / "time", photos, size=(1500, 1000))
    _loop(source)
    bare = [_timed(lambda: _loop(source)) for _ in range(1)]
    full = []
    for number in range(ROUNDS):
        full.append(_timed(lambda n=number: _run(source, grid=16, out=folder / f"time-run-{n}")))
        bare.append(_timed(lambda: _loop(source)))
    bare_cpu, full_cpu = (min(cpu for _, cpu in times) for times in (bare, full))
    bare_wall, full_wall = (min(wall for wall, _ in times) for times in (bare, full))
    print(f"{photos} photos of 1500 x 1000, grid 16 x 16, stub model, best of {ROUNDS}")
    print(f"  bare loop           {bare_wall:7.2f} s   CPU {bare_cpu:7.2f} s")
    print(f"  Beam and shards     {full_wall:7.2f} s   CPU {full_cpu:7.2f} s")
    share = full_cpu / bare_cpu - 1
    print(f"  on top              {full_wall / bare_wall - 1:+7.1%}     CPU {share:+7.1%}")
    return _judged("CPU on top of a bare loop", share)


def _compare_memory(folder: Path, few: int, many: int) -> bool:
    print(f"peak memory of {few} and {many} photos of 640 x 480, 64 prompts at once")
    peaks = []
    for count in (few, many):
        source = _photos(folder / f"memory-{count}", count, size=(640, 480))
        command = [sys.executable, __file__, "--measure-memory", str(source)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks.append(json.loads(answer)["peak_memory_bytes"])
        print(f"  {count:6} photos       {peaks[-1] / 2**20:7.1f} MiB")
    return _judged("more memory", peaks[1] / peaks[0] - 1)


def _judged(what: str, share: float) -> bool:
    print(f"  {what}: {share:+.1%}, bar {BAR:.0%}: {'met' if share <= BAR else 'MISSED'}")
    return share <= BAR


def _timed(work: object) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()  # type: ignore[operator]
    return time.perf_counter() - wall, time.process_time() - cpu


def _loop(source: Path) -> int:
    parameters, _ = parameters_for("default", {"points_per_side": 16})
    recipe, segmenter, masks = ImageRecipe(parameters), StubSegmenter(), 0
    for ref in list_photos(str(source)):
        loaded = load_photo(PlannedImage(ref, 0), recipe)
        row, _ = make_row(PlannedImage(ref, 0), lambda p=loaded: p, segmenter, recipe)
        masks += len(row.masks)
    return masks


def _run(source: Path, *, grid: int, out: Path | None = None) -> dict[str, float]:
    config = AutomaticRun(
        source=str(source),
        out=str(out or source.with_name(f"{source.name}-run")),
        parameters={"points_per_side": grid},
    )
    summary = run_automatic(config, segmenter=StubSegmenter)
    return {"peak_memory_bytes": summary.peak_memory_bytes, "masks": summary.masks}


def _photos(folder: Path, count: int, *, size: tuple[int, int]) -> Path:
    """A few distinct photos under many names."""
    folder.mkdir()
    random = np.random.default_rng(0)
    files = []
    for _ in range(min(count, DISTINCT_PHOTOS)):
        small = random.integers(0, 256, (size[1] // 20, size[0] // 20, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    for number in range(count):
        (folder / f"{number:05d}.jpg").write_bytes(files[number % len(files)])
    return folder


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())

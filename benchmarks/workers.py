"""Photos an hour with one process of many threads, and with many processes of one thread.

    python benchmarks/workers.py [--photos N] [--rounds N] [--json FILE]

`mask-engine auto --preset fast` with the starter on the example photos, in turns, so that other
work on the machine meets both. `--workers auto` does what the second does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from networks import PHOTOS


def main() -> int:
    """Measures; the exit code says whether many processes are the faster."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--photos", type=int, default=24, help="example photos, repeated")
    parser.add_argument("--rounds", type=int, default=2, help="how often both are measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    seconds: dict[tuple[int, int], list[float]] = {(1, cores): [], (cores, 1): []}
    with tempfile.TemporaryDirectory(prefix="mask-engine-bench-") as folder:
        source = _photos(Path(folder) / "photos", arguments.photos)
        for number in range(arguments.rounds):
            for (workers, threads), measured in seconds.items():
                out = Path(folder) / f"run-{number}-{workers}"
                measured.append(_run(source, out, workers, threads))
    results = [_told(way, measured, arguments.photos) for way, measured in seconds.items()]
    if arguments.json:
        arguments.json.write_text(json.dumps({"results": results}, indent=2) + "\n")
    return 0 if results[1]["photos_an_hour"] >= results[0]["photos_an_hour"] else 1


def _photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    files = sorted(file for file in PHOTOS.iterdir() if file.suffix != ".md")
    for number in range(count):
        file = files[number % len(files)]
        (folder / f"{number:03d}{file.suffix}").write_bytes(file.read_bytes())
    return folder


def _run(source: Path, out: Path, workers: int, threads: int) -> float:
    """Seconds at work, without the start of the processes."""
    ways = ["--workers", str(workers), "--threads", str(threads), "--shard-size", "2"]
    command = ["auto", str(source), "--out", str(out), "--preset", "fast", *ways]
    subprocess.run(
        [sys.executable, "-m", "engine.cli", *command], check=True, stdout=subprocess.DEVNULL
    )
    elapsed: float = json.loads((out / "summary.json").read_text())["elapsed_seconds"]
    return elapsed


def _told(way: tuple[int, int], measured: list[float], photos: int) -> dict[str, Any]:
    workers, threads = way
    an_hour = photos * len(measured) / sum(measured) * 3600
    print(f"{workers} processes x {threads} threads: {an_hour:8,.0f} photos an hour", flush=True)
    return {"workers": workers, "threads": threads, "photos_an_hour": an_hour, "seconds": measured}


if __name__ == "__main__":
    sys.exit(main())

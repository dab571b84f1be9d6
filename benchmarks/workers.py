"""Photos an hour with two threads a process, and with one: on two cores, 1 x 2 against 2 x 1.

    python benchmarks/workers.py [--photos N] [--rounds N] [--json FILE]

`mask-engine auto --preset fast` with the starter on the example photos. Both ways take turns, each
first as often as last, so that other work on the machine meets both. Photos an hour are by the
time at work, without the start of the processes, as in a long run; the whole commands' seconds
stand beside. `--workers auto` should do what is faster (`pipelines.parallelism.FASTEST_THREADS`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from command import run_command
from networks import PHOTOS

from pipelines.manifest import usable_cores
from pipelines.parallelism import fastest_processes

# Shards are the unit that processes share: small ones, so that both end at about the same time.
PHOTOS_A_SHARD: Final = "2"


@dataclass(frozen=True)
class Way:
    """So many processes of so many threads, and what each run took."""

    workers: int
    threads: int
    at_work: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)


def main() -> int:
    """Measures; the exit code says whether `--workers auto` does what is faster."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--photos", type=int, default=16, help="example photos, repeated")
    parser.add_argument("--rounds", type=int, default=2, help="how often both are measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    arguments = parser.parse_args()
    cores = usable_cores()
    if cores < 2:
        raise SystemExit("there is one core: one process with one thread is the only way")
    ways = Way(cores // 2, 2), Way(cores, 1)
    with tempfile.TemporaryDirectory(prefix="mask-engine-bench-") as folder:
        source = _photos(Path(folder) / "photos", arguments.photos)
        for number in range(arguments.rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                _run(way, source, Path(folder) / f"run-{number}-{way.workers}")
    return _told(ways, arguments.photos, arguments.json)


def _photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    files = sorted(file for file in PHOTOS.iterdir() if file.suffix != ".md")
    for number in range(count):
        file = files[number % len(files)]
        (folder / f"{number:03d}{file.suffix}").write_bytes(file.read_bytes())
    return folder


def _run(way: Way, source: Path, out: Path) -> None:
    ways = ["--workers", str(way.workers), "--threads", str(way.threads)]
    settings = ["--preset", "fast", "--shard-size", PHOTOS_A_SHARD, *ways]
    cost = run_command(["auto", str(source), "--out", str(out), *settings])
    way.command.append(cost.seconds)
    way.at_work.append(json.loads((out / "summary.json").read_text())["elapsed_seconds"])


def _told(ways: Sequence[Way], photos: int, file: Path | None) -> int:
    results = [_result(way, photos) for way in ways]
    for result in results:
        print(
            f"{result['workers']} x {result['threads']} (processes x threads): "
            f"{result['photos_an_hour']:7,.0f} photos an hour; whole commands "
            f"{', '.join(f'{seconds:.1f}' for seconds in result['command_s'])} s"
        )
    ratio = results[1]["photos_an_hour"] / results[0]["photos_an_hour"]
    fastest = max(results, key=lambda result: result["photos_an_hour"])["workers"]
    picked = fastest_processes(usable_cores())
    verdict = "the faster" if picked == fastest else "NOT the faster"
    print(
        f"{ratio:.2f} x with one thread each; `--workers auto` picks {picked}: {verdict}",
        flush=True,
    )
    if file:
        content = {"results": results, "ratio": ratio, "auto_picks": picked}
        file.write_text(json.dumps(content, indent=2) + "\n")
    return 0 if picked == fastest else 1


def _result(way: Way, photos: int) -> dict[str, Any]:
    return {
        "workers": way.workers,
        "threads": way.threads,
        "photos_an_hour": photos * len(way.at_work) / sum(way.at_work) * 3600,
        "seconds": way.at_work,
        "command_s": way.command,
    }


if __name__ == "__main__":
    sys.exit(main())

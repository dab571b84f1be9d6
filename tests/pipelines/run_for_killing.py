"""A program that tests start and kill: `python -m tests.pipelines.run_for_killing SOURCE OUT N`."""

from __future__ import annotations

import sys

from pipelines.automatic import run_automatic
from tests.fakes import SlowDiscSegmenter
from tests.pipelines.runs import quick


def slow() -> SlowDiscSegmenter:
    return SlowDiscSegmenter(seconds_per_image=0.05)


def main(source: str, out: str, workers: str) -> None:
    run_automatic(quick(source, out, workers=int(workers)), segmenter=slow)


if __name__ == "__main__":
    main(*sys.argv[1:])

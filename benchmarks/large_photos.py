"""The most memory that `mask-engine auto` takes for one large photo, with the starter.

    python benchmarks/large_photos.py [--json FILE]

The whole command in a process of its own, with the 32x32 grid of the default preset and a thread
for each core: reading, decoding, the network, masks, the shard.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from command import run_command
from networks import photo
from PIL import Image

# Height and width in pixels, and the most megabytes (10^6 bytes) that it may take.
BARS: Final = {(3000, 4000): 1500, (8660, 11550): 4000}


def main() -> int:
    """Measures both photos; the exit code says whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    arguments = parser.parse_args()
    results = [_measured(size_hw, most_mb) for size_hw, most_mb in BARS.items()]
    if arguments.json:
        arguments.json.write_text(json.dumps({"results": results}, indent=2) + "\n")
    return 0 if all(result["peak_mb"] <= result["bar_mb"] for result in results) else 1


def _measured(size_hw: tuple[int, int], most_mb: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mask-engine-bench-") as folder:
        file, out = Path(folder) / "photo.jpg", Path(folder) / "run"
        Image.fromarray(photo(size_hw)).save(file, quality=90)
        cost = run_command(["auto", str(file), "--out", str(out)])
        summary = json.loads((out / "summary.json").read_text())
    verdict = "met" if cost.peak_mb <= most_mb else "MISSED"
    megapixels = size_hw[0] * size_hw[1] / 1e6
    print(
        f"{megapixels:6.1f} megapixels  {summary['masks']:4} masks  {cost.seconds:6.1f} s  "
        f"{cost.peak_mb:6.0f} MB at most, bar {most_mb} MB: {verdict}",
        flush=True,
    )
    return {
        "photo": f"{size_hw[0]}x{size_hw[1]}",
        "masks": summary["masks"],
        "failed": summary["failed"],
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "bar_mb": most_mb,
    }


if __name__ == "__main__":
    sys.exit(main())

"""The tables and the plot of docs/performance.md, from what `automatic.py --json FILE` measured.

python benchmarks/automatic_table.py FILE [--plot FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automatic_plot import STEPS, crops_of, grid_of, in_order, plot


def main() -> None:
    """Prints Markdown: a row a case, then the steps of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, metavar="FILE", help="of automatic.py --json")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the times by step")
    arguments = parser.parse_args()
    results = in_order(json.loads(arguments.results.read_text())["results"])
    print("\n".join([*cases(results), *(line for r in results for line in ("", *steps(r)))]))
    if arguments.plot:
        plot(results, arguments.plot)


def cases(results: Sequence[dict[str, Any]]) -> list[str]:
    """What a reader compares first."""
    return [
        "| photo | network | grid | official | official, same allocator | ours | ratios "
        "| same masks | most memory | of products' peak |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_case(result) for result in results),
    ]


def steps(result: dict[str, Any]) -> list[str]:
    """One case's seconds, the published generator's dearest step first."""
    theirs, ours = result["measured"]["steps_official"], result["measured"]["steps_ours"]
    ordered = sorted(STEPS, key=lambda step: -theirs.get(step, 0.0))
    return [
        f"| seconds by step, {_case_name(result)} | official | ours |",
        "|---|---|---|",
        *(f"| {s} | {theirs.get(s, 0.0):.1f} | {ours.get(s, 0.0):.1f} |" for s in ordered),
    ]


def _case(result: dict[str, Any]) -> str:
    cells = (
        result["photo"],
        _network(result),
        grid_of(result),
        f"{result['official_s']:.1f} s",
        f"{result['official_same_allocator_s']:.1f} s",
        f"{result['ours_s']:.1f} s",
        f"{result['ratio']:.1f}, {result['ratio_same_allocator']:.1f}",
        f"{result['agreement']:.2%} of {result['masks']:,}",
        f"{result['official_peak_mb']:,.0f} and {result['peak_mb']:,.0f} MB",
        f"{result['share_of_peak']:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def _case_name(result: dict[str, Any]) -> str:
    return f"{result['photo']} {_network(result)} {grid_of(result)}"


def _network(result: dict[str, Any]) -> str:
    return f"`{result['model']}`{crops_of(result)}"


if __name__ == "__main__":
    main()

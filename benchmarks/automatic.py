"""Automatic masks: the published package `segment-anything` and this project, side by side.

    python benchmarks/automatic.py [--quick] [--json FILE] [--plot FILE] [--device cpu]

Same weights, photos, thresholds and threads. For each photo and network it prints both times by
step, their ratio out of the box and with the same allocator settings, whether the masks are the
same, the most memory of each, and how near ours comes to what large matrix products reach.

Each measured run has a short one over a coarse grid before it. The most memory is of processes of
their own: ours over the whole grid, the published generator's over a coarse one, in which it asks
as many prompts at once as in any. Megabytes are 10^6 bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch
from automatic_case import COARSE_GRID, Case
from automatic_plot import plot
from networks import PHOTOS

LARGE_HW, SMALL_HW = (1500, 2250), (480, 640)
LEAST_RATIO: Final = {"x".join(map(str, LARGE_HW)): 6.0, "x".join(map(str, SMALL_HW)): 4.0}
LEAST_SAME_ALLOCATOR: Final = 3.0
LEAST_AGREEMENT, MOST_SCORE_DIFFERENCE = 0.995, 1e-3


def main() -> int:
    """Measures every case; the exit code says whether the bars are met."""
    arguments = _arguments()
    measured = []
    for case in _cases(arguments):
        measured.append(_measured(case))
        _tell(measured[-1])
        if arguments.json:  # after each: the published package takes minutes a photo
            _write(arguments.json, measured)
    if arguments.plot:
        plot(_read(arguments.json) if arguments.json else measured, arguments.plot)
    if arguments.quick:  # the encoder, once a photo, weighs too much for the bars
        return 0
    return 0 if all(_is_met(result) for result in measured) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--quick", action="store_true", help=f"a {COARSE_GRID}x{COARSE_GRID} grid instead of 32x32"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="add the results; those of other cases stay"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the times by step")
    parser.add_argument("--device", default="cpu", help="where both networks run")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch and numpy")
    parser.add_argument(
        "--points-per-side", type=int, default=32, help="the grid; fewer points, less to wait for"
    )
    parser.add_argument(
        "--only",
        metavar="TEXT",
        default="",
        help="cases with this in their name, as '480x640 vit_b whole', or 'crops'",
    )
    arguments = parser.parse_args()
    if not _cases(arguments):
        parser.error(f"--only {arguments.only!r} is in no case's name")
    return arguments


def _cases(arguments: argparse.Namespace) -> list[Case]:
    side = arguments.points_per_side
    grid = min(side, COARSE_GRID) if arguments.quick else side
    shared = {"points_per_side": grid, "threads": arguments.threads, "device": arguments.device}
    cases = [
        Case(photo_hw, model, crop_layers, **shared)
        for photo_hw in (LARGE_HW, SMALL_HW)
        for model, crop_layers in (("vit_t192", 0), ("vit_t192", 1), ("vit_b", 0))
    ]
    return [case for case in cases if arguments.only in _name(case)]


def _measured(case: Case) -> dict[str, Any]:
    compared = _in_a_process("compare", case)
    with_thresholds = replace(case, thresholds=compared["thresholds"])
    official, ours = compared["official"]["wall_s"], compared["ours"]["wall_s"]
    agreement = compared["agreement"]
    return {
        "photo": "x".join(map(str, case.photo_hw)),
        "model": case.model,
        "crop_layers": case.crop_layers,
        "points_per_side": case.points_per_side,
        "threads": case.threads,
        "device": case.device,
        "official_s": official,
        "official_same_allocator_s": compared["official_tuned"]["wall_s"],
        "ours_s": ours,
        "ratio": official / ours,
        "ratio_same_allocator": compared["official_tuned"]["wall_s"] / ours,
        "ratio_of_cpu_seconds": compared["official"]["cpu_s"] / compared["ours"]["cpu_s"],
        "ratio_of_cpu_seconds_same_allocator": compared["official_tuned"]["cpu_s"]
        / compared["ours"]["cpu_s"],
        "agreement": min(agreement["of_official"], agreement["of_ours"]),
        "max_score_difference": agreement["max_score_difference"],
        "masks": compared["masks"],
        "official_peak_mb": _in_a_process("memory-of-official", with_thresholds.coarse())[
            "peak_mb"
        ],
        "peak_mb": _in_a_process("memory-of-ours", with_thresholds)["peak_mb"],
        "share_of_peak": compared["gigaflop"] / ours / compared["peak_gigaflop_s"],
        "measured": compared,
    }


def _in_a_process(part: str, case: Case) -> dict[str, Any]:
    script = Path(__file__).with_name("automatic_case.py")
    threads = {"OMP_NUM_THREADS": str(case.threads), "OPENBLAS_NUM_THREADS": str(case.threads)}
    finished = subprocess.run(
        [sys.executable, str(script), part, json.dumps(asdict(case))],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PHOTOS.parents[1],
        env=os.environ | threads,
    )
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer


def _name(case: Case) -> str:
    crops = "crops" if case.crop_layers else "whole"
    return f"{case.photo_hw[0]}x{case.photo_hw[1]} {case.model} {crops}"


def _tell(result: dict[str, Any]) -> None:
    crops = ", 2x2 crops too" if result["crop_layers"] else ""
    grid = result["points_per_side"]
    print(
        f"\n{result['photo']} px, {result['model']}{crops}, grid {grid}x{grid}, "
        f"{result['threads']} threads, {result['device']}: {result['masks']} masks"
    )
    _tell_steps(result["measured"])
    print(
        f"  out of the box      {result['official_s']:8.1f} s  / {result['ours_s']:6.1f} s "
        f"= {result['ratio']:5.1f} x   ({result['ratio_of_cpu_seconds']:.1f} x by CPU seconds)\n"
        f"  same allocator      {result['official_same_allocator_s']:8.1f} s  / "
        f"{result['ours_s']:6.1f} s = {result['ratio_same_allocator']:5.1f} x   "
        f"({result['ratio_of_cpu_seconds_same_allocator']:.1f} x by CPU seconds)\n"
        f"  same masks          {result['agreement']:8.2%}    scores differ by "
        f"{result['max_score_difference']:.1e} at most\n"
        f"  most memory         {result['official_peak_mb']:8.0f} MB / "
        f"{result['peak_mb']:6.0f} MB\n"
        f"  of products' peak   {result['share_of_peak']:8.0%}",
        flush=True,
    )


def _tell_steps(measured: dict[str, Any]) -> None:
    print(f"  {'seconds by step':<19} {'official':>8}      {'ours':>6}")
    theirs, ours = measured["steps_official"], measured["steps_ours"]
    for step in sorted(theirs.keys() | ours.keys(), key=lambda s: -theirs.get(s, 0.0)):
        print(f"    {step:<17} {theirs.get(step, 0.0):8.1f}      {ours.get(step, 0.0):6.1f}")


def _is_met(result: dict[str, Any]) -> bool:
    return (
        result["ratio"] >= LEAST_RATIO[result["photo"]]
        and result["ratio_same_allocator"] >= LEAST_SAME_ALLOCATOR
        and result["agreement"] >= LEAST_AGREEMENT
        and result["max_score_difference"] <= MOST_SCORE_DIFFERENCE
    )


def _write(path: Path, measured: Sequence[dict[str, Any]]) -> None:
    """Keeps what the file holds of other cases, so that a long benchmark can be made in parts."""
    results = {_key(result): result for result in [*_read(path), *measured]}
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    content = {"machine": machine, "results": list(results.values())}
    path.write_text(json.dumps(content, indent=2) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    results: list[dict[str, Any]] = json.loads(path.read_text())["results"]
    return results


def _key(result: dict[str, Any]) -> tuple[Any, ...]:
    names = ("photo", "model", "crop_layers", "points_per_side", "threads", "device")
    return tuple(result[name] for name in names)


if __name__ == "__main__":
    sys.exit(main())

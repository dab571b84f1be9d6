"""One photo and one network of `automatic.py`, in a process of its own. Called by it only.

The published generator and ours take turns in the same process, with the same weights, photo,
thresholds and threads: first with the allocator as Python starts, then with the settings that
`mask-engine` makes at its start (`model.allocator`). Before each measured run the same code runs
once over a coarse grid of the same photo, unmeasured: what it frees stays with the process, or
not, as the allocator's settings say, and what is done once is done.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
import torch
from agreement import compare
from networks import both_networks, photo
from numpy.typing import NDArray
from products import counted_products
from timed_generator import Generated, generate, synchronise

from model.allocator import keep_freed_memory
from model.sam_segmenter import SamSegmenter
from stages.automatic import AutomaticMasks, propose_masks
from stages.candidates import candidates_in_crop
from stages.crops import Crop
from stages.parameters import AutomaticParameters
from stages.tally import Tally

# As SAM's own weights: so many proposals pass predicted IoU, and so many stability as well.
SHARE_ABOVE_IOU: Final = 0.46
SHARE_ABOVE_BOTH: Final = 0.15
# A batch of the published generator's: its memory grows with prompts asked at once, not the grid.
COARSE_GRID: Final = 8

_STEPS: Final = {
    "embed": "encoder",
    "decode": "decoder",
    "upsample": "upsample and judge",
    "encode": "boxes and RLE",
    "cleanup": "boxes and RLE",
}
Made = TypeVar("Made")


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        photo_hw: height and width in pixels.
        model: a key of `networks.SIZES`.
        crop_layers: 0, or 1 for 2x2 crops as well.
        points_per_side: of the grid on the whole photo.
        threads: of torch and numpy.
        device: where both networks run.
        thresholds: of predicted IoU and stability; found on the photo if None.
    """

    photo_hw: tuple[int, int]
    model: str
    crop_layers: int
    points_per_side: int
    threads: int
    device: str
    thresholds: tuple[float, float] | None = None

    def coarse(self) -> Case:
        """The same on a grid that takes a sixteenth of the time of the usual one."""
        return replace(self, points_per_side=min(self.points_per_side, COARSE_GRID))


@dataclass(frozen=True)
class Timed:
    """Seconds on the clock, and of processors, that belong to one run over the photo."""

    wall_s: float
    cpu_s: float


def main() -> int:
    """Prints the measurement as one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["compare", "memory-of-official", "memory-of-ours"])
    parser.add_argument("case", type=json.loads)
    arguments = parser.parse_args()
    case = Case(**arguments.case)
    torch.set_num_threads(case.threads)
    measure = {
        "compare": _compare,
        "memory-of-official": _memory_of_official,
        "memory-of-ours": _memory_of_ours,
    }[arguments.part]
    print(json.dumps(measure(case)))
    return 0


class _Bench:
    """Both networks, the photo, and thresholds that let a usual share of proposals pass."""

    def __init__(self, case: Case) -> None:
        self.official, own = both_networks(case.model, case.device)
        self.segmenter = SamSegmenter(own)
        self.threads = case.threads
        self.image_HWC: NDArray[np.uint8] = photo(case.photo_hw)
        found = case.thresholds or _thresholds(self, case)
        self.parameters = _parameters(case, *found)
        self.coarse_parameters = _parameters(case.coarse(), *found)

    def run_official(self, parameters: AutomaticParameters) -> Generated:
        return generate(self.official, self.image_HWC, parameters)

    def run_ours(
        self, parameters: AutomaticParameters, *, threads: int | None = None
    ) -> AutomaticMasks:
        return propose_masks(
            self.segmenter,
            self.image_HWC,
            image_id="0" * 32,
            parameters=parameters,
            threads=threads or self.threads,
        )

    def warm(self, what: str, run: Callable[[AutomaticParameters], Made]) -> tuple[Made, Timed]:
        """A run's result and time, after one over the coarse grid that does not count."""
        _timed(f"{what}: coarse grid, to warm up", lambda: run(self.coarse_parameters))
        return _timed(what, lambda: run(self.parameters))


def _compare(case: Case) -> dict[str, Any]:
    bench = _Bench(case)
    official, official_time = bench.warm("segment-anything", bench.run_official)
    _, ours_untuned_time = bench.warm("mask-engine, allocator as Python has it", bench.run_ours)
    keep_freed_memory()
    _, official_tuned_time = bench.warm("segment-anything, same allocator", bench.run_official)
    ours, ours_time = bench.warm("mask-engine", bench.run_ours)
    with counted_products() as counter:
        bench.run_ours(bench.parameters, threads=1)  # it sees what its own thread does
    return {
        "official": asdict(official_time),
        "official_tuned": asdict(official_tuned_time),
        "ours": asdict(ours_time),
        "ours_untuned": asdict(ours_untuned_time),
        "steps_official": official.seconds,
        "steps_ours": _steps_of(ours, ours_time),
        "thresholds": [bench.parameters.min_predicted_iou, bench.parameters.min_stability],
        "masks": len(ours.masks),
        "agreement": asdict(compare(official.masks, ours.masks)),
        "gigaflop": counter.get_total_flops() / 1e9,
        "peak_gigaflop_s": _peak_gigaflop_s(case.device),
    }


def _memory_of_official(case: Case) -> dict[str, Any]:
    bench = _Bench(case)
    bench.run_official(bench.parameters)
    return {"peak_mb": _peak_mb(case.device)}


def _memory_of_ours(case: Case) -> dict[str, Any]:
    keep_freed_memory()
    bench = _Bench(case)
    bench.run_ours(bench.parameters)
    return {"peak_mb": _peak_mb(case.device)}


def _thresholds(bench: _Bench, case: Case) -> tuple[float, float]:
    """Those that let the usual shares pass, found on a 16x16 grid of the same photo."""
    open_to_all = AutomaticParameters(
        points_per_side=min(case.points_per_side, 16),
        min_predicted_iou=-1.0,
        min_stability=0.0,
        nms_iou=1.0,
    )
    whole = Crop(0, 0, case.photo_hw[1], case.photo_hw[0], layer=0)
    found = candidates_in_crop(
        bench.segmenter,
        bench.segmenter.embed(bench.image_HWC),
        whole,
        case.photo_hw,
        open_to_all,
        Tally(),
        threads=case.threads,
    )
    iou = _exceeded_by(SHARE_ABOVE_IOU, [one.predicted_iou for one in found])
    passing = [one.stability for one in found if one.predicted_iou >= iou]
    return iou, _exceeded_by(SHARE_ABOVE_BOTH / SHARE_ABOVE_IOU, passing)


def _parameters(case: Case, min_predicted_iou: float, min_stability: float) -> AutomaticParameters:
    return AutomaticParameters(
        points_per_side=case.points_per_side,
        crop_layers=case.crop_layers,
        min_predicted_iou=min_predicted_iou,
        min_stability=min_stability,
        # What the published generator does not do, or does by another rule.
        max_image_share=2.0,
        min_region_area_px=0,
        crop_nms_iou=1.0,
    )


def _exceeded_by(share: float, values: list[float]) -> float:
    """A number between two of the values, so that no rounding decides on which side one lies."""
    ordered = np.sort(values)
    place = min(int((1 - share) * len(ordered)), len(ordered) - 2)
    return float((ordered[place] + ordered[place + 1]) / 2)


def _steps_of(masks: AutomaticMasks, timed: Timed) -> dict[str, float]:
    steps: dict[str, float] = {}
    for step, seconds in masks.seconds.items():
        name = _STEPS.get(step, "NMS and the rest")
        steps[name] = steps.get(name, 0.0) + seconds
    rest = timed.wall_s - sum(steps.values())
    steps["NMS and the rest"] = steps.get("NMS and the rest", 0.0) + rest
    return steps


def _timed(what: str, work: Callable[[], Made]) -> tuple[Made, Timed]:
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    timed = Timed(time.perf_counter() - wall, time.process_time() - cpu)
    print(f"{what}: {timed.wall_s:.1f} s, {timed.cpu_s:.1f} s of CPU", file=sys.stderr, flush=True)
    return made, timed


def _peak_gigaflop_s(device: str) -> float:
    """The most that one large product reaches, of several tries."""
    size, rounds = 2048, 10
    matrix = torch.randn(size, size, device=device)
    seconds = []
    for _ in range(rounds):
        synchronise(torch.device(device))
        begun = time.perf_counter()
        matrix @ matrix
        synchronise(torch.device(device))
        seconds.append(time.perf_counter() - begun)
    return 2 * size**3 / 1e9 / min(seconds)


def _peak_mb(device: str) -> float:
    """Megabytes (10^6 bytes), of a GPU's memory where one is used."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e6
    bytes_a_unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_a_unit / 1e6


if __name__ == "__main__":
    sys.exit(main())

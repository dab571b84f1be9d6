"""The published generator, `SamAutomaticMaskGenerator`, with a clock at each of its steps."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import segment_anything.automatic_mask_generator as released
import segment_anything.modeling as official
import torch
from numpy.typing import NDArray

from stages.parameters import AutomaticParameters

# What is timed: attributes of the module, by the name of the step.
_FUNCTIONS: Final = {
    "calculate_stability_score": "upsample and judge",
    "batched_mask_to_box": "boxes and RLE",
    "mask_to_rle_pytorch": "boxes and RLE",
    "coco_encode_rle": "boxes and RLE",
    "uncrop_masks": "boxes and RLE",
    "batched_nms": "NMS and the rest",
}
_PARTS: Final = {
    "image_encoder": "encoder",
    "prompt_encoder": "decoder",
    "mask_decoder": "decoder",
}


@dataclass(frozen=True)
class Generated:
    """The masks as the generator gives them, and seconds by step."""

    masks: list[dict[str, Any]]
    seconds: dict[str, float]


def generate(
    sam: official.Sam, image_HWC: NDArray[np.uint8], parameters: AutomaticParameters
) -> Generated:
    """Run the published generator with our parameters."""
    generator = released.SamAutomaticMaskGenerator(
        sam,
        points_per_side=parameters.points_per_side,
        pred_iou_thresh=parameters.min_predicted_iou,
        stability_score_thresh=parameters.min_stability,
        stability_score_offset=parameters.stability_offset,
        box_nms_thresh=parameters.nms_iou,
        crop_n_layers=parameters.crop_layers,
        crop_nms_thresh=parameters.crop_nms_iou,
        crop_overlap_ratio=parameters.crop_overlap,
        crop_n_points_downscale_factor=parameters.crop_points_downscale,
        output_mode="coco_rle",
    )
    seconds: defaultdict[str, float] = defaultdict(float)
    begun = time.perf_counter()
    with _clocks(sam, seconds):
        masks = generator.generate(image_HWC)
    whole = time.perf_counter() - begun
    # Filtering copies the masks that stay: whatever is not timed by itself is mostly that.
    seconds["filter"] += whole - sum(seconds.values())
    return Generated(masks, dict(seconds))


@contextmanager
def _clocks(sam: official.Sam, seconds: dict[str, float]) -> Iterator[None]:
    places: list[tuple[Any, str, str]] = [(released, name, _FUNCTIONS[name]) for name in _FUNCTIONS]
    places += [(getattr(sam, part), "forward", step) for part, step in _PARTS.items()]
    places.append((sam, "postprocess_masks", "upsample and judge"))
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, step in places:
        setattr(owner, name, _timed(getattr(owner, name), seconds, step, sam.device))
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def synchronise(device: torch.device) -> None:
    """Waits for what a GPU has been told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _timed(
    function: Callable[..., Any], seconds: dict[str, float], step: str, device: torch.device
) -> Callable[..., Any]:
    @functools.wraps(function)
    def clocked(*arguments: Any, **keywords: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            synchronise(device)
            seconds[step] += time.perf_counter() - begun

    return clocked

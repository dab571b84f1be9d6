"""The field's protocol: click the innermost point, then the innermost point of the largest error.

Sofiiuk et al. 2021 (RITM) and everybody since; the first click may be random instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.clicks import Click, innermost_point, next_click, random_point
from model.geometry import Geometry
from model.prompts import POSITIVE, Prompt
from model.segmenter import Embedding, PromptableSegmenter
from stages import rle
from stages.parameters import AutomaticParameters
from stages.rle import Rle
from stages.upsampling import Upsampler

MOST_CLICKS = 20
STABILITY_OFFSET = AutomaticParameters().stability_offset
"""As for automatic masks, so that what is said of stability here holds there."""


@dataclass(frozen=True, eq=False)
class ClickedMask:
    """How one mask went, click by click; the last value stands for all clicks after it.

    Attributes:
        area_px: of the true mask.
        iou: after each click, of the answer that the model itself ranks first.
        oracle_iou: of the best of its answers.
        predicted_iou: what the model said of the answer it ranks first.
        stability: of that answer, as automatic masks are judged; 0 where it is empty.
        first_mask: that answer after the first click, encoded.
    """

    area_px: int
    iou: tuple[float, ...]
    oracle_iou: tuple[float, ...]
    predicted_iou: tuple[float, ...]
    stability: tuple[float, ...]
    first_mask: Rle

    def iou_after(self, clicks: int, *, oracle: bool = False) -> float:
        """IoU after so many clicks, or after the last that was needed."""
        values = self.oracle_iou if oracle else self.iou
        return values[min(clicks, len(values)) - 1]


@dataclass
class _UnderWay:
    """One mask while it is clicked on."""

    truth: NDArray[np.bool_]
    ignored: NDArray[np.bool_] | None
    clicks: list[Click]
    logits: NDArray[np.float32] | None
    iou: list[float] = field(default_factory=list)
    oracle_iou: list[float] = field(default_factory=list)
    predicted_iou: list[float] = field(default_factory=list)
    stability: list[float] = field(default_factory=list)
    first_mask: Rle = field(init=False)
    is_done: bool = False


def click_masks(
    segmenter: PromptableSegmenter,
    image_HWC: NDArray[np.uint8],
    truths: Sequence[NDArray[np.bool_]],
    ignored: Sequence[NDArray[np.bool_] | None],
    *,
    clicks: int,
    stop_at_iou: float = 1.0,
    always: int = 1,
    as_annotated: bool = False,
    rng: np.random.Generator | None = None,
) -> list[ClickedMask]:
    """Simulate an annotator on every mask of one photo, all masks side by side.

    Args:
        segmenter: the model.
        image_HWC: RGB.
        truths: (H, W) masks, none empty.
        ignored: for each mask the pixels that do not count, or None.
        clicks: at most so many, at least 1.
        stop_at_iou: a mask that reaches it gets no more clicks, once it has had `always`.
        always: clicks that every mask gets.
        as_annotated: answers as people get them: three candidates for the first click, which is
            ambiguous, and one mask from the second on.
        rng: random first clicks; None for the innermost point.
    """
    embedding = segmenter.embed(image_HWC)
    under_way = [
        _UnderWay(truth, band, [_first_click(truth, rng)], None)
        for truth, band in zip(truths, ignored, strict=True)
    ]
    for number in range(clicks):
        asked = [mask for mask in under_way if not mask.is_done]
        if not asked:
            break
        _ask(segmenter, embedding, asked, multimask=number == 0 or not as_annotated)
        for mask in asked:
            is_enough = mask.iou[-1] >= stop_at_iou and number + 1 >= always
            mask.is_done = is_enough or number + 1 == clicks
            if not mask.is_done:
                _click_again(mask, embedding.geometry)
    return [
        ClickedMask(
            area_px=int(mask.truth.sum()),
            iou=tuple(mask.iou),
            oracle_iou=tuple(mask.oracle_iou),
            predicted_iou=tuple(mask.predicted_iou),
            stability=tuple(mask.stability),
            first_mask=mask.first_mask,
        )
        for mask in under_way
    ]


def to_photo(logits_hw: NDArray[np.float32], geometry: Geometry) -> NDArray[np.bool_]:
    """Low-resolution logits to a mask (H, W) of the photo."""
    enlarged = geometry.row_weights() @ logits_hw @ geometry.column_weights().T
    mask: NDArray[np.bool_] = enlarged > 0
    return mask


def intersection_over_union(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], ignored: NDArray[np.bool_] | None
) -> float:
    """IoU outside the ignored pixels; 1 if both are empty there."""
    if ignored is not None:
        predicted, truth = predicted & ~ignored, truth & ~ignored
    union = np.count_nonzero(predicted | truth)
    return float(np.count_nonzero(predicted & truth) / union) if union else 1.0


def _first_click(truth: NDArray[np.bool_], rng: np.random.Generator | None) -> Click:
    point = innermost_point(truth) if rng is None else random_point(truth, rng)
    return Click(point, POSITIVE)


def _ask(
    segmenter: PromptableSegmenter,
    embedding: Embedding,
    asked: list[_UnderWay],
    *,
    multimask: bool,
) -> None:
    """One more answer for every mask; of several candidates, the one ranked first goes on."""
    prompts = [
        Prompt.of([c.point_xy for c in m.clicks], [c.label for c in m.clicks], None, m.logits)
        for m in asked
    ]
    answer = segmenter.segment(embedding, prompts, multimask=multimask)
    candidates = answer.predicted_iou.shape[1]
    logits = answer.logits.reshape(len(asked), candidates, *answer.logits.shape[1:])
    upsampler = Upsampler(answer.geometry, STABILITY_OFFSET)
    for mask, logits_Mhw, predicted_M in zip(asked, logits, answer.predicted_iou, strict=True):
        masks = [to_photo(one, answer.geometry) for one in logits_Mhw]
        ious = [intersection_over_union(m, mask.truth, mask.ignored) for m in masks]
        first = int(predicted_M.argmax())
        mask.iou.append(ious[first])
        mask.oracle_iou.append(max(ious))
        mask.predicted_iou.append(float(predicted_M[first]))
        upsampled = upsampler.upsample(logits_Mhw[first])
        mask.stability.append(0.0 if upsampled is None else upsampled.stability)
        mask.logits = logits_Mhw[first]
        if len(mask.iou) == 1:
            mask.first_mask = rle.encode(masks[first])


def _click_again(mask: _UnderWay, geometry: Geometry) -> None:
    """Add a click on the largest error; a mask without error that was not clicked is done."""
    if mask.logits is None:
        return
    predicted = to_photo(mask.logits, geometry)
    clicked = [click.point_xy for click in mask.clicks]
    click = next_click(predicted, mask.truth, ignored_HW=mask.ignored, clicked=clicked)
    if click is None:
        mask.is_done = True
    else:
        mask.clicks.append(click)

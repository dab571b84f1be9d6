"""One evaluation: every chosen mask of a truth file clicked on, the baselines beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.console import progress
from engine.evaluation.baselines import baseline
from engine.evaluation.clicking import (
    MOST_CLICKS,
    ClickedMask,
    click_masks,
    intersection_over_union,
)
from engine.evaluation.measures import NOC_TARGETS, Clicked, Estimate, Measures, bootstrap, measure
from engine.evaluation.recall import Recall, RecallCounter, proposal_iou
from engine.evaluation.truth import TruthPhoto
from engine.photo_size import check_photo_size
from model.clicks import innermost_point, random_point
from model.errors import ConfigurationError
from model.segmenter import PromptableSegmenter
from stages.parameters import AutomaticParameters
from stages.photos import decode_photo


@dataclass(frozen=True)
class Protocol:
    """What is measured.

    Attributes:
        clicks: numbers of clicks to report.
        count_clicks: click on up to 20 times to count the clicks needed (NoC).
        random_first: the first click anywhere on the mask, not at its innermost point.
        as_annotated: three candidates for the first click alone, one mask from then on.
        baselines: names of classical answers to compare with.
        automatic: settings of the automatic stage for average recall, or None.
        seed: of random clicks and intervals.
    """

    clicks: tuple[int, ...] = (1, 2, 3, 5, 9)
    count_clicks: bool = True
    random_first: bool = False
    as_annotated: bool = False
    baselines: tuple[str, ...] = ()
    automatic: AutomaticParameters | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Case:
    """One clicked mask with its place, for the contact sheet."""

    photo: TruthPhoto
    mask_index: int
    clicked: ClickedMask


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result: figures of the model, of the baselines after one click, and every case."""

    measures: Measures
    baselines: dict[str, Estimate]
    recall: Recall | None
    cases: list[Case]


@dataclass
class _Collected:
    cases: list[Case] = field(default_factory=list)
    photo: list[int] = field(default_factory=list)
    baseline_iou: dict[str, list[float]] = field(default_factory=dict)
    recall: RecallCounter = field(default_factory=RecallCounter)


def evaluate_photos(
    segmenter: PromptableSegmenter, photos: Sequence[TruthPhoto], protocol: Protocol
) -> Evaluation:
    """Evaluate a model on photos with known masks.

    Raises:
        ConfigurationError: there is no mask to evaluate on, or a photo has another size than its
            annotations say.
    """
    if not photos:
        raise ConfigurationError("no masks to evaluate on: the truth file has none that count")
    most = MOST_CLICKS if protocol.count_clicks else max(protocol.clicks)
    collected = _Collected()
    with progress("evaluating", "photos") as meter:
        for index, photo in enumerate(photos):
            _evaluate_photo(segmenter, photo, index, most, protocol, collected)
            meter(index + 1, len(photos))
    photo_of = np.array(collected.photo)
    clicked = Clicked(tuple(case.clicked for case in collected.cases), photo_of)
    return Evaluation(
        measures=measure(clicked, protocol.clicks, most_clicks=most, seed=protocol.seed),
        baselines={
            name: bootstrap(np.array(values), photo_of, np.random.default_rng(protocol.seed))
            for name, values in collected.baseline_iou.items()
        },
        recall=collected.recall.result() if protocol.automatic else None,
        cases=collected.cases,
    )


def _evaluate_photo(
    segmenter: PromptableSegmenter,
    photo: TruthPhoto,
    index: int,
    most_clicks: int,
    protocol: Protocol,
    collected: _Collected,
) -> None:
    image = decode_photo(photo.path.read_bytes()).pixels_HWC
    height, width = image.shape[:2]
    check_photo_size(photo.path, (height, width), photo.masks[0].size_hw)
    truths = [mask.mask() for mask in photo.masks]
    ignored = [mask.ignored_band() for mask in photo.masks]
    rng = np.random.default_rng([protocol.seed, index]) if protocol.random_first else None
    clicked = click_masks(
        segmenter,
        image,
        truths,
        ignored,
        clicks=most_clicks,
        # Past the last click that is reported, only the count of clicks matters.
        stop_at_iou=max(NOC_TARGETS) / 100,
        always=max(protocol.clicks),
        as_annotated=protocol.as_annotated,
        rng=rng,
    )
    for mask_index, mask in enumerate(clicked):
        collected.cases.append(Case(photo, mask_index, mask))
        collected.photo.append(index)
    for name in protocol.baselines:
        ious = _baseline_iou(name, image, truths, ignored, protocol.seed, index, rng is not None)
        collected.baseline_iou.setdefault(name, []).extend(ious)
    if protocol.automatic:
        collected.recall.add(proposal_iou(segmenter, image, truths, protocol.automatic))


def _baseline_iou(
    name: str,
    image: NDArray[np.uint8],
    truths: Sequence[NDArray[np.bool_]],
    ignored: Sequence[NDArray[np.bool_] | None],
    seed: int,
    index: int,
    is_random: bool,
) -> list[float]:
    """The baseline gets the very first clicks that the model got."""
    rng = np.random.default_rng([seed, index])
    points = [random_point(t, rng) if is_random else innermost_point(t) for t in truths]
    answers = baseline(name)(image, points)
    return [
        intersection_over_union(answer, truth, band)
        for answer, truth, band in zip(answers, truths, ignored, strict=True)
    ]

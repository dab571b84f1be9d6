"""From an answer to a photo's row: whose masks count, and what to say where there are none."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.assist.answer_content import INTERNAL, SKIPPED, Content
from engine.assist.drawn_masks import DrawnMasks, masks_of
from engine.assist.settings import STAGE
from model.errors import ConfigurationError, RecordError, StopError
from pipelines.answers import Answer
from pipelines.reading import read_photo
from stages import rle
from stages.photos import Photo, PhotoLimits, decode_photo
from stages.records import ErrorRecord, ImageRow, MaskRecord

LOGGER = logging.getLogger(__name__)

OTHER_ANNOTATOR = "other_annotator"


@dataclass(frozen=True)
class RowMaker:
    """Makes rows of answers; picklable, and the same row for the same answer and photo.

    Attributes:
        labels: that masks may have.
        winner: whose masks count (`AssistRun.winner`).
        limits: what a photo may cost.
        round: of the engine.
        stage: as rows name it.
    """

    labels: frozenset[str]
    winner: str = "agreement"
    limits: PhotoLimits = field(default_factory=PhotoLimits)
    round: int = 0
    stage: str = STAGE

    def __call__(self, answer: Answer) -> ImageRow:
        """The row; whatever is wrong with the photo or its task is in it.

        Raises:
            StopError, ConfigurationError: what concerns more than this photo.
        """
        try:
            return self._made(answer)
        except (StopError, ConfigurationError):
            raise
        except RecordError as error:
            return self._failed(answer, error.kind, str(error))
        except Exception as error:
            LOGGER.warning("%s: failed unexpectedly", answer.ref.uri, exc_info=True)
            return self._failed(answer, INTERNAL, f"{type(error).__name__}: {error}")

    def _made(self, answer: Answer) -> ImageRow:
        content = Content.from_text(answer.content)
        if content.problem is not None:
            return self._failed(answer, *content.problem)
        photo = decode_photo(read_photo(answer.ref.uri, self.limits), self.limits)
        if all(drawing.skipped for drawing in content.drawings):
            who = ", ".join(drawing.annotator for drawing in content.drawings)
            return self._failed(answer, SKIPPED, f"{answer.ref.path}: skipped by {who}", photo)
        drawn = drawn_by_each(
            content, answer.ref.image_id, (photo.height, photo.width), self.labels
        )
        return self._row(answer, photo, drawn)

    def _row(self, answer: Answer, photo: Photo, drawn: Sequence[DrawnMasks]) -> ImageRow:
        chosen = winner_of(drawn, self.winner)
        dropped = Counter(chosen.dropped)
        others = sum(len(other.masks) for other in drawn if other is not chosen)
        if others:
            dropped[OTHER_ANNOTATOR] += others
        return ImageRow(
            answer.ref,
            self.stage,
            width=photo.width,
            height=photo.height,
            sha256=photo.sha256,
            round=self.round,
            revision=answer.revision,
            exhaustive=chosen.exhaustive,
            masks=chosen.masks,
            dropped=dict(sorted(dropped.items())),
        )

    def _failed(
        self, answer: Answer, kind: str, message: str, photo: Photo | None = None
    ) -> ImageRow:
        return ImageRow(
            answer.ref,
            self.stage,
            width=None if photo is None else photo.width,
            height=None if photo is None else photo.height,
            sha256=None if photo is None else photo.sha256,
            round=self.round,
            revision=answer.revision,
            error=ErrorRecord(kind, message),
        )


def drawn_by_each(
    content: Content, image_id: str, size_hw: tuple[int, int], labels: frozenset[str]
) -> list[DrawnMasks]:
    """The masks of everybody who did not skip the photo."""
    return [
        masks_of(
            drawing,
            image_id,
            size_hw=size_hw,
            labels=labels,
            before=content.before.get(drawing.annotator, {}),
            prefilled=content.prefilled,
        )
        for drawing in content.drawings
        if not drawing.skipped
    ]


def agreement(first: Sequence[MaskRecord], second: Sequence[MaskRecord]) -> float:
    """Mean best IoU of two people's masks, both ways; 1 where both found nothing."""
    if not first and not second:
        return 1.0
    if not first or not second:
        return 0.0
    iou = rle.pairwise_iou([m.segmentation for m in first], [m.segmentation for m in second])
    return float(np.concatenate([iou.max(axis=1), iou.max(axis=0)]).mean())


def mean_agreements(drawn: Sequence[DrawnMasks]) -> list[float]:
    """How well each person agrees with the others, on average."""
    return [
        float(np.mean([agreement(one.masks, other.masks) for other in drawn if other is not one]))
        for one in drawn
    ]


def winner_of(drawn: Sequence[DrawnMasks], rule: str) -> DrawnMasks:
    """Whose masks count, of everybody's (`AssistRun.winner`)."""
    if len(drawn) == 1 or rule == "first":
        return drawn[0]
    if rule == "latest":
        return drawn[-1]
    return drawn[int(np.argmax(mean_agreements(drawn)))]

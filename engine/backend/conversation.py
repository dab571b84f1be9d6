"""What was clicked on one object so far, and the model's answer to it.

Every answer is fed back into the next one (paper, section 4: the logits of the previous mask are
part of the next prompt), so an answer depends on the whole conversation. It is a pure function of
it: the memory below only saves time, and an answer that was forgotten is found again by replaying
the clicks. That is why the backend needs no sessions and may be restarted at any moment.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.backend.bounded_cache import BoundedCache
from engine.backend.labels import AUTO, PART, SUBPART, WHOLE
from model.geometry import Geometry
from model.prompts import POSITIVE, Prompt
from model.segmenter import Embedding, PromptableSegmenter, Proposals
from stages.cleanup import MaskPatch
from stages.records import PromptRecord
from stages.upsampling import Upsampler

MEMORY_BYTES: Final = 128 * 2**20
# Place among the three candidates, the smallest first.
_BY_AREA: Final = {SUBPART: 0, PART: 1, WHOLE: 2}


@dataclass(frozen=True)
class Conversation:
    """All prompts about one object of one photo.

    Attributes:
        image_id: which photo.
        prompt: a box or none, then clicks in the order they were made, in pixels.
        granularity: what the first click means where it is ambiguous (`labels.GRANULARITIES`).
        version: of the photo; answers about what it was before are no answers.
    """

    image_id: str
    prompt: PromptRecord
    granularity: str = AUTO
    version: str = ""

    @property
    def asks_for_something(self) -> bool:
        """Whether anything is said to be inside; negative clicks alone mean nothing."""
        return POSITIVE in self.prompt.point_labels or self.prompt.box_xyxy is not None

    @property
    def clicks(self) -> int:
        """How many prompts were given, the box as one."""
        return len(self.prompt.points_xy) + (self.prompt.box_xyxy is not None)

    def before_last_click(self) -> Conversation | None:
        """The conversation one click ago, or None if nothing was asked for then."""
        if not self.prompt.points_xy:
            return None
        prompt = replace(
            self.prompt,
            points_xy=self.prompt.points_xy[:-1],
            point_labels=self.prompt.point_labels[:-1],
        )
        earlier = replace(self, prompt=prompt)
        return earlier if earlier.asks_for_something else None


@dataclass(frozen=True, eq=False)
class Answer:
    """The model's answer to a conversation.

    Attributes:
        logits_hw: (h, w) float32 low-resolution logits.
        predicted_iou: the model's own estimate.
    """

    logits_hw: NDArray[np.float32]
    predicted_iou: float


class Interlocutor:
    """Answers conversations; any number of threads may ask.

    Args:
        segmenter: the model.
        memory_bytes: how much of earlier answers is remembered.
    """

    def __init__(self, segmenter: PromptableSegmenter, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._segmenter = segmenter
        self._answers: BoundedCache[Conversation, Answer] = BoundedCache(
            memory_bytes, lambda answer: answer.logits_hw.nbytes
        )

    def answer(self, embedding: Embedding, conversation: Conversation) -> Answer:
        """The answer to a conversation about an embedded photo.

        Raises:
            ValueError: if nothing is asked for, or another model made the embedding.
        """
        if not conversation.asks_for_something:
            raise ValueError("a conversation needs a positive click or a box")
        known = self._answers.get(conversation)
        if known is not None:
            return known
        before = conversation.before_last_click()
        earlier = None if before is None else self.answer(embedding, before)
        answer = self._ask(embedding, conversation, earlier)
        self._answers.put(conversation, answer)
        return answer

    def _ask(
        self, embedding: Embedding, conversation: Conversation, earlier: Answer | None
    ) -> Answer:
        prompt = Prompt.of(
            conversation.prompt.points_xy,
            conversation.prompt.point_labels,
            conversation.prompt.box_xyxy,
            None if earlier is None else earlier.logits_hw,
        )
        is_ambiguous = earlier is None and conversation.prompt.box_xyxy is None
        proposals = self._segmenter.segment(embedding, [prompt], multimask=is_ambiguous)
        chosen = _choose(proposals, conversation.granularity)
        # A view would keep all three candidates in memory, uncounted.
        return Answer(proposals.logits[chosen].copy(), float(proposals.predicted_iou[0, chosen]))


def patch_of(answer: Answer, embedding: Embedding) -> MaskPatch | None:
    """The answer in the pixels of the upright photo, or None if no pixel is inside."""
    found = _upsampler(embedding.geometry).upsample(answer.logits_hw)
    if found is None:
        return None
    # Masks go out row by row; OpenCV turns them block by block, which the cache likes.
    inside_HW = cv2.transpose(found.inside_WH.view(np.uint8)).view(np.bool_)
    return MaskPatch(inside_HW, found.left, found.top)


def mask_of(answer: Answer, embedding: Embedding) -> NDArray[np.bool_]:
    """The answer as a whole mask (H, W) of the upright photo."""
    mask_HW = np.zeros(embedding.geometry.original_hw, np.bool_)
    patch = patch_of(answer, embedding)
    if patch is not None:
        height, width = patch.inside_HW.shape
        mask_HW[patch.top : patch.top + height, patch.left : patch.left + width] = patch.inside_HW
    return mask_HW


@functools.lru_cache(maxsize=64)
def _upsampler(geometry: Geometry) -> Upsampler:
    return Upsampler(geometry, stability_offset=0.0)


def _choose(proposals: Proposals, granularity: str) -> int:
    """Which candidate is meant: the one the model trusts most, or the one of the asked size."""
    candidates = proposals.predicted_iou.shape[1]
    if granularity not in _BY_AREA or candidates == 1:
        return int(proposals.predicted_iou[0].argmax())
    areas = np.count_nonzero(proposals.logits > 0, axis=(1, 2))
    by_area = np.argsort(areas, kind="stable")
    return int(by_area[_BY_AREA[granularity]])

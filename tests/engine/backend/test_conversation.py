from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.backend.conversation import Conversation, Interlocutor, mask_of
from engine.backend.labels import AUTO, PART, SUBPART, WHOLE
from engine.evaluation.clicking import to_photo
from model import Embedding, Prompt, Proposals
from stages.records import PromptRecord
from tests.factories import make_pixels
from tests.fakes import DiscSegmenter

PHOTO = "0" * 32


class Listening(DiscSegmenter):
    """Remembers what it was asked; an answer depends on the logits that are fed back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Prompt, bool]] = []

    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        self.asked += [(prompt, multimask) for prompt in prompts]
        answer = super().segment(embedding, prompts, multimask=multimask)
        fed_back = prompts[0].mask_logits
        if fed_back is None:
            return answer
        logits = answer.logits + 0.25 * fed_back
        return Proposals(answer.predicted_iou, answer.index, logits, answer.geometry)


def talk(*clicks: tuple[float, float, int], granularity: str = AUTO) -> Conversation:
    prompt = PromptRecord(
        points_xy=tuple((x, y) for x, y, _ in clicks),
        point_labels=tuple(label for *_, label in clicks),
    )
    return Conversation(PHOTO, prompt, granularity)


def embedded(segmenter: DiscSegmenter) -> Embedding:
    return segmenter.embed(make_pixels(96, 64))


def test_the_last_answer_is_fed_into_the_next_question() -> None:
    segmenter = Listening()
    photo = embedded(segmenter)
    speaker = Interlocutor(segmenter)

    first = speaker.answer(photo, talk((20, 20, 1)))
    speaker.answer(photo, talk((20, 20, 1), (60, 40, 0)))

    (_, first_multimask), (second, second_multimask) = segmenter.asked
    assert first_multimask
    assert not second_multimask
    assert second.mask_logits is first.logits_hw


def test_a_forgotten_conversation_gets_the_same_answer_as_a_remembered_one() -> None:
    clicks = ((20, 20, 1), (60, 40, 0), (70, 30, 1))
    segmenter = Listening()
    photo = embedded(segmenter)
    remembering = Interlocutor(segmenter)
    for count in range(1, 4):
        remembered = remembering.answer(photo, talk(*clicks[:count]))
    assert len(segmenter.asked) == 3

    forgetful = Interlocutor(segmenter, memory_bytes=0)
    replayed = forgetful.answer(photo, talk(*clicks))

    np.testing.assert_array_equal(remembered.logits_hw, replayed.logits_hw)
    assert remembered.predicted_iou == replayed.predicted_iou


def test_granularity_chooses_among_the_candidates_by_area() -> None:
    segmenter = DiscSegmenter()
    photo = embedded(segmenter)
    speaker = Interlocutor(segmenter)

    areas = [
        np.count_nonzero(speaker.answer(photo, talk((48, 32, 1), granularity=asked)).logits_hw > 0)
        for asked in (SUBPART, PART, WHOLE)
    ]

    assert areas == sorted(areas)
    assert areas[0] < areas[2]


def test_auto_takes_the_candidate_that_the_model_trusts_most() -> None:
    segmenter = DiscSegmenter()
    photo = embedded(segmenter)
    proposals = segmenter.segment(photo, [Prompt.of([(48, 32)])], multimask=True)

    answer = Interlocutor(segmenter).answer(photo, talk((48, 32, 1)))

    assert answer.predicted_iou == proposals.predicted_iou.max()


def test_a_negative_click_before_any_other_says_nothing_and_is_not_fed_back() -> None:
    segmenter = Listening()
    photo = embedded(segmenter)

    Interlocutor(segmenter).answer(photo, talk((5, 5, 0), (20, 20, 1)))

    (prompt, multimask) = segmenter.asked[-1]
    assert len(segmenter.asked) == 1
    assert prompt.mask_logits is None
    assert multimask
    with pytest.raises(ValueError, match="positive click or a box"):
        Interlocutor(segmenter).answer(photo, talk((5, 5, 0)))


def test_an_answer_holds_no_other_candidates_and_is_of_one_version_of_the_photo() -> None:
    segmenter = Listening()
    photo = embedded(segmenter)
    speaker = Interlocutor(segmenter)
    asked = talk((20, 20, 1))

    assert speaker.answer(photo, asked).logits_hw.base is None
    speaker.answer(photo, replace(asked, version="replaced"))
    assert len(segmenter.asked) == 2


def test_a_box_is_not_ambiguous() -> None:
    segmenter = Listening()
    box = Conversation(PHOTO, PromptRecord(box_xyxy=(10, 10, 50, 40)))

    Interlocutor(segmenter).answer(embedded(segmenter), box)

    assert [multimask for _, multimask in segmenter.asked] == [False]
    assert box.clicks == 1


def test_the_mask_is_what_upsampling_the_whole_photo_gives() -> None:
    segmenter = DiscSegmenter()
    photo = embedded(segmenter)
    answer = Interlocutor(segmenter).answer(photo, talk((48, 32, 1)))

    mask = mask_of(answer, photo)

    np.testing.assert_array_equal(mask, to_photo(answer.logits_hw, photo.geometry))

"""The simulated annotator: looks at an object it knows, clicks, looks at the answer, clicks again.

The clicks are those of evaluation and training (`model.clicks`): the innermost point of the
object, then the innermost point of the largest error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from engine.backend.conversation import Conversation
from engine.evaluation.clicking import intersection_over_union
from model.clicks import Click, innermost_point, next_click
from model.prompts import POSITIVE
from stages.records import PromptRecord

Mask = NDArray[np.bool_]
SIMULATED: Final = "simulated"


class AnnotatorParameters(BaseModel):
    """How a simulated annotator works."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    accept_iou: float = Field(
        default=0.9, gt=0, le=1, description="A mask at least this like the truth is accepted."
    )
    most_clicks: int = Field(
        default=8, ge=1, le=100, description="Clicks on an object before it is given up."
    )
    draws_by_hand: bool = Field(
        default=False,
        description="Objects that clicks do not get are drawn exactly, as a person with a brush "
        "would; else they are given up.",
    )
    name: str = Field(
        default=SIMULATED,
        min_length=1,
        description="The annotator's name; records say simulated:NAME.",
    )

    @property
    def annotator(self) -> str:
        """The name in records: nobody takes it for a person's."""
        return self.name if self.name == SIMULATED else f"{SIMULATED}:{self.name}"


@dataclass(frozen=True, eq=False)
class Shown:
    """What the annotator sees after a click.

    Attributes:
        mask_HW: of the photo; empty where nothing came back.
        predicted_iou: the model's own estimate, None where nothing came back.
    """

    mask_HW: Mask
    predicted_iou: float | None


class Answers(Protocol):
    """Where masks come from: the model itself, or a service."""

    @property
    def model_id(self) -> str:
        """The model that answers."""
        ...

    def show(self, conversation: Conversation) -> Shown:
        """The answer to a conversation about the photo in view."""
        ...


@dataclass(frozen=True, eq=False)
class Work:
    """What became of one object.

    Attributes:
        shown: the last answer.
        prompt: all clicks.
        iou: of the last answer with the truth.
        is_accepted: whether it was good enough.
    """

    shown: Shown
    prompt: PromptRecord
    iou: float
    is_accepted: bool

    @property
    def clicks(self) -> int:
        """How many were needed."""
        return len(self.prompt.points_xy)


def annotate(
    truth_HW: Mask,
    ignored_HW: Mask | None,
    image_id: str,
    answers: Answers,
    parameters: AnnotatorParameters,
) -> Work:
    """Clicks on one object until the answer is good enough, or there were too many clicks.

    Args:
        truth_HW: the object, not empty.
        ignored_HW: pixels that count for neither side, or None.
        image_id: the photo in view.
        answers: where masks come from.
        parameters: of the annotator.
    """
    first = Click(innermost_point(truth_HW), POSITIVE)
    conversation = _with_click(Conversation(image_id, PromptRecord()), first)
    while True:
        shown = answers.show(conversation)
        iou = intersection_over_union(shown.mask_HW, truth_HW, ignored_HW)
        is_accepted = iou >= parameters.accept_iou
        clicked = [(int(x), int(y)) for x, y in conversation.prompt.points_xy]
        click = next_click(shown.mask_HW, truth_HW, ignored_HW=ignored_HW, clicked=clicked)
        if is_accepted or click is None or conversation.clicks == parameters.most_clicks:
            return Work(shown, conversation.prompt, iou, is_accepted)
        conversation = _with_click(conversation, click)


def _with_click(conversation: Conversation, click: Click) -> Conversation:
    x, y = click.point_xy
    prompt = conversation.prompt
    more = replace(
        prompt,
        points_xy=(*prompt.points_xy, (float(x), float(y))),
        point_labels=(*prompt.point_labels, click.label),
    )
    return replace(conversation, prompt=more)

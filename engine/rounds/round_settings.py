"""One round as a user states it: its stage, its photos, people's budget, and what differs."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.rounds.gate import GateParameters
from engine.rounds.recipe import RoundTraining
from model.detection.training import DetectorSchedule
from stages.joining import JoinParameters
from stages.semi_automatic import SemiAutomaticParameters

STRICT: Final = ConfigDict(frozen=True, strict=True, extra="forbid")

Stage = Literal["assisted_manual", "semi_automatic", "automatic"]


class Choice(BaseModel):
    """How a round's photos are chosen."""

    model_config = STRICT

    count: int = Field(gt=0, description="Photos of the round.")
    order: Literal["in_order", "random", "least_sure"] = Field(
        default="in_order",
        description="in order of their paths; at random; or where the model is least sure.",
    )
    looked_at: int = Field(
        default=4,
        ge=1,
        description="least_sure: so many times `count` photos are tried, the worst are taken.",
    )
    existing_again: bool = Field(
        default=False, description="Photos of round 0, whose masks are there already, count too."
    )


class Proposing(BaseModel):
    """The model's own masks, before anybody looks at them."""

    model_config = STRICT

    preset: str = Field(default="fast", description="Named settings: default, fast or sa1b.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the automatic stage that differ from it."
    )
    workers: int = Field(default=1, ge=1, le=1024, description="Processes side by side.")


class Detecting(BaseModel):
    """A detector's boxes ask the model, as in the paper's semi-automatic stage."""

    model_config = STRICT

    schedule: DetectorSchedule = Field(
        default_factory=DetectorSchedule, description="How long and how fast it learns."
    )
    parameters: SemiAutomaticParameters = Field(
        default_factory=SemiAutomaticParameters, description="Which masks people are shown."
    )


class RoundSettings(BaseModel):
    """One round, or several alike."""

    model_config = STRICT

    stage: Stage
    repeat: int = Field(default=1, ge=1, le=100, description="So many rounds like this.")
    photos: Choice
    objects_per_photo: int | None = Field(
        default=None, ge=1, description="People's budget: the most prominent objects of a photo."
    )
    sure_predicted_iou: float = Field(
        default=0.88, description="semi_automatic: masks at least this sure are shown to people."
    )
    proposing: Proposing = Field(default_factory=Proposing, description="The model's own masks.")
    detector: Detecting | None = Field(
        default=None,
        description="semi_automatic: a detector, trained on the masks of the rounds before, finds "
        "what people are shown; unset: a grid of points does.",
    )
    data: JoinParameters | None = Field(
        default=None, description="How its data set is put together; the engine's `data` if unset."
    )
    train: RoundTraining | None = Field(
        default=None, description="How the model is retrained; the engine's `train` if unset."
    )
    gate: GateParameters | None = Field(
        default=None, description="What a candidate has to reach; the engine's `gate` if unset."
    )

"""How a round retrains the model: from its settings to a complete training configuration."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.configuration import build, merge
from engine.training.parameters import (
    SamplingParameters,
    TrainingConfiguration,
    ViewParameters,
)

SOURCE_NAME: Final = "round"
LEAST_CACHED: Final = 64

_MODES: Final[dict[str, dict[str, Any]]] = {
    "full": {},
    "decoder": {"frozen": ["image_encoder"]},
    "cached": {"frozen": ["image_encoder"], "cache_embeddings": True},
    "low_rank": {"low_rank": 8},
}
_BASE: Final[dict[str, Any]] = {
    "data": {"side_px": 256, "images_per_step": 4, "masks_per_image": 6, "drawing_processes": 1},
    "session": {
        "frozen_statistics": True,
        "loop": {
            "average_decay": 0.98,
            "optimiser": {"warmup_steps": 20, "schedule": "hold", "decay_share": 0.4},
            "rounds": {"edge_weight": 0.0},
        },
    },
    "log": {"figures_every_steps": 10, "save_every_seconds": 60, "overlays_every_steps": 0},
}


class RoundTraining(BaseModel):
    """Retraining on a round's data set."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    steps: int = Field(default=200, gt=0, description="Optimiser steps.")
    learning_rate: float = Field(default=2e-4, gt=0, description="At its peak.")
    start: Literal["current", "first"] = Field(
        default="current", description="Which model it starts from."
    )
    mode: Literal["full", "decoder", "cached", "low_rank"] = Field(
        default="full",
        description="What is trained: all; the decoder (with the encoder's embeddings kept on "
        "disk: cached); or low-rank updates of the encoder beside the decoder.",
    )
    cached_pictures: int | None = Field(
        default=None,
        gt=0,
        description="cached: so many pictures are drawn, then the same again, for their embeddings "
        "take room on the disk; if unset, each is seen about four times (at least 64 are drawn).",
    )
    sampling: SamplingParameters = Field(
        default_factory=SamplingParameters, description="Which masks are asked for how often."
    )
    views: ViewParameters = Field(
        default_factory=ViewParameters, description="Square views that are cut out of photos."
    )
    procedural_weight: float = Field(
        default=0.0, ge=0, description="Drawn scenes for one scene of the data set."
    )
    recipe: dict[str, Any] = Field(
        default_factory=dict,
        description="Any setting of `mask-engine train` that differs: data, session, log.",
    )

    @model_validator(mode="after")
    def _recipe_is_known(self) -> RoundTraining:
        """Refuses a wrong recipe now, and not after hours of people's work."""
        self.configuration(data="data", start="tiny", seed=0, threads=1, device="cpu")
        return self

    def configuration(
        self, *, data: str, start: str, seed: int, threads: int, device: str
    ) -> TrainingConfiguration:
        """The training of one round.

        Args:
            data: address of the run that holds the training rows.
            start: checkpoint file.
            seed: of what is drawn and clicked.
            threads: of the network.
            device: where it runs.

        Raises:
            ConfigurationError: if `recipe` holds what training does not know.
        """
        sources: list[dict[str, Any]] = [
            {
                "kind": "stream",
                "name": SOURCE_NAME,
                "path": data,
                "views": self.views.model_dump(),
                "sampling": self.sampling.model_dump(),
            }
        ]
        if self.procedural_weight:
            sources.append({"kind": "procedural", "weight": self.procedural_weight})
        loop = {
            "steps": self.steps,
            "seed": seed,
            "plain_steps": self.steps,
            "optimiser": {"learning_rate": self.learning_rate},
        }
        data_settings: dict[str, Any] = {"sources": sources, "seed": seed}
        if self.mode == "cached":
            data_settings["repeat_after"] = self.cached_pictures or self._quarter_of_drawn()
        ours = {
            "data": data_settings,
            "session": {"start": start, "device": device, "loop": loop, **_MODES[self.mode]},
            "threads": threads,
        }
        layers = [merge(_BASE, ours), self.recipe]
        return build(TrainingConfiguration, layers, origin="train.recipe")

    def _quarter_of_drawn(self) -> int:
        data = merge(_BASE, self.recipe)["data"]
        return max(LEAST_CACHED, self.steps * int(data["images_per_step"]) // 4)

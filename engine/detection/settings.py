"""What training an object detector needs, as a user states it in a configuration file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.training.parameters import PhotoSourceParameters
from model.detection.training import DetectorSchedule


class DetectorRun(BaseModel):
    """A complete training run of a detector; its YAML file has exactly these keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    sources: tuple[PhotoSourceParameters, ...] = Field(
        min_length=1,
        strict=False,
        description="Photos with masks: runs of earlier rounds (shards), COCO files, SA-1B.",
    )
    out: str = Field(description="The run's folder; the detector is detector.safetensors in it.")
    checkpoint: str = Field(
        default="starter", description="The promptable model whose embeddings the detector reads."
    )
    held_out_share: float = Field(
        default=0.1, ge=0, lt=1, description="Photos kept aside to measure on."
    )
    measure_on: tuple[PhotoSourceParameters, ...] = Field(
        default=(), strict=False, description="More photos to measure on, each source by itself."
    )
    mirrored: bool = Field(default=True, description="Learn from every photo's mirror image too.")
    zoomed: int = Field(
        default=0, ge=0, description="Parts of every photo to learn from, around an object each."
    )
    schedule: DetectorSchedule = Field(
        default_factory=DetectorSchedule, description="How long and how fast it learns."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the model; the cores if unset."
    )
    device: str = Field(default="cpu", description="Where photos are embedded: cpu, cuda or mps.")

    def weights_depend_on(self, model_id: str) -> dict[str, Any]:
        """Everything that changes the detector."""
        others = {"out", "checkpoint", "measure_on", "threads", "device"}
        dumped = self.model_dump(mode="json", exclude=others)
        for source in dumped["sources"]:
            # How masks' training draws from a source is nothing to a detector.
            del source["photos_by_masks"], source["views"]["augment"]
        return {**dumped, "model_id": model_id}

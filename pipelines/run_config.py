"""What the automatic stage needs to run, as a user states it; descriptions are the CLI's help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from model.encoder_options import EncoderOptions, Precision
from model.errors import ConfigurationError
from pipelines.parallelism import AUTO, Machine
from stages.parameters import AutomaticParameters
from stages.photos import PhotoLimits
from stages.presets import ResolvedThresholds, parameters_for
from stages.records import AUTOMATIC
from stages.schema import SCHEMA_VERSION

# Raised whenever the same parameters would give other masks than before.
ALGORITHM_VERSION: Final = 3


class AutomaticRun(BaseModel):
    """A complete run of the fully automatic stage."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    source: str = Field(
        description="Photos: a folder, a glob, a .txt file of addresses, or an fsspec URL."
    )
    out: str = Field(description="The run's folder: a path or an fsspec URL.")
    source_name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the source, part of every id; the last part of its address if unset.",
    )
    checkpoint: str = Field(
        default="starter", description="The model: a name, or the path of a checkpoint file."
    )
    preset: str = Field(default="default", description="Named settings: default, fast or sa1b.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the automatic stage that differ from it."
    )
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )
    shard_size: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Photos a shard; from their number if unset.",
    )
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        default=1, description="Processes that work side by side, or auto: as many as are fastest."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads a worker; the cores shared out if unset."
    )
    device: str = Field(default="cpu", description="Where the model runs: cpu, cuda or mps.")
    precision: Precision = Field(
        default="float32", description="Of the image encoder: float32, or bfloat16 (for GPUs)."
    )
    compile: bool = Field(
        default=False, description="Compile the image encoder (for GPUs; needs a C++ compiler)."
    )
    embed_images: bool = Field(
        default=False, description="Keep the photos in the shards, upright and without EXIF."
    )
    max_failed_share: float = Field(
        default=0.5, ge=0, le=1, description="The run stops if a larger share of photos fails."
    )
    round: int = Field(default=0, ge=0, description="Of the engine.")
    append: bool = Field(
        default=False, description="Plan photos that are new in the source as new shards."
    )
    retry_failed: bool = Field(
        default=False, description="Try photos again that failed for a passing reason."
    )
    dry_run: bool = Field(
        default=False, description="Only say what would be done, and about how long it takes."
    )
    beam_options: tuple[str, ...] = Field(
        default=(), strict=False, description="Options for Apache Beam, such as another runner."
    )

    @property
    def encoder(self) -> EncoderOptions:
        """How the image encoder computes."""
        return EncoderOptions(self.precision, self.compile)

    def own_threads(self, shards: int) -> int:
        """Threads a worker in a run of so many shards: as stated, or the cores shared out."""
        machine = Machine.here()
        workers = self.workers
        if workers == AUTO:
            workers = 1 if self._is_for_one_process else machine.most_workers(shards)
        return self.threads or machine.threads(workers)

    def own_workers(self, threads: int, shards: int) -> int:
        """Workers for the shards that are to be made, with so many threads each."""
        if self.workers != AUTO:
            return self.workers
        return 1 if self._is_for_one_process else Machine.here().workers(threads, shards)

    def why_workers(self, workers: int, shards: int) -> str | None:
        """In a few words, why `auto` picked so many for so many shards; None if it did not."""
        if self.workers != AUTO or self._is_for_one_process:
            return None
        return Machine.here().why(workers, shards)

    @property
    def _is_for_one_process(self) -> bool:
        """Where processes would not see each other's work, or do not run the model."""
        in_memory = self.out.startswith("memory://") or self.source.startswith("memory://")
        return in_memory or bool(self.beam_options) or self.device != "cpu"

    def resolved_parameters(
        self, recommended: Mapping[str, float] | None
    ) -> tuple[AutomaticParameters, ResolvedThresholds]:
        """The parameters in use, and where the thresholds come from.

        Raises:
            ConfigurationError: on an unknown preset or setting, or a value out of range.
        """
        return parameters_for(self.preset, self.parameters, recommended)

    def masks_depend_on(self, parameters: AutomaticParameters, model_id: str) -> dict[str, Any]:
        """Everything that changes masks: what the configuration digest is made of."""
        return {
            "stage": AUTOMATIC,
            "preset": self.preset,
            "parameters": parameters.model_dump(mode="json"),
            "limits": self.limits.model_dump(mode="json"),
            "model_id": model_id,
            "precision": self.precision,
            "compile": self.compile,
            "schema_version": SCHEMA_VERSION,
            "algorithm_version": ALGORITHM_VERSION,
        } | ({"round": self.round} if self.round else {})

    def refuse_contradictions(self) -> None:
        """Checks settings against each other.

        Raises:
            ConfigurationError: if two of them cannot both be meant.
        """
        workers = 1 if self.workers == AUTO else self.workers
        if workers > 1 and self.out.startswith("memory://"):
            raise ConfigurationError(
                f"{self.out}: memory:// lies in one process, and {workers} workers are "
                "processes of their own, whose shards would be lost. Use one worker, or a folder."
            )
        if workers > 1 and self.source.startswith("memory://"):
            raise ConfigurationError(
                f"{self.source}: memory:// lies in one process, where {workers} workers "
                "cannot see it. Use one worker, or a folder."
            )
        if workers > 1 and self.beam_options:
            raise ConfigurationError(
                "workers and Beam options both say who does the work. Leave workers at 1 and tell "
                "the Beam runner how many it may use, or leave the Beam options out."
            )

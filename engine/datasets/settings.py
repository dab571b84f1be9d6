"""What a finished data set is made of, as a user states it in a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.configuration import build, parse_assignments, read_yaml
from engine.rounds.settings import EngineSettings


class DatasetWords(BaseModel):
    """What a data set's card says beside numbers."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str = Field(default="masks", min_length=1, description="Of the data set.")
    licence: str = Field(
        default="unknown", description="Of photos and masks, as an SPDX name such as CC-BY-4.0."
    )
    about: str = Field(default="", description="A few sentences for the dataset card.")
    attribution: str = Field(default="", description="Whom to name, and how.")


class DatasetSettings(DatasetWords):
    """`mask-engine dataset build FILE --out DIR`."""

    engine: str = Field(description="The engine's configuration file.")
    engine_settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of the engine that differ from its file, as its --set gave them.",
    )
    rounds: tuple[int, ...] = Field(
        default=(), strict=False, description="Rounds that take part, 0 is what was there; all."
    )
    embed_images: bool = Field(default=True, description="Carry the photos in the shards.")

    @property
    def words(self) -> DatasetWords:
        """What the card says, without what is only of use here."""
        return DatasetWords(**self.model_dump(include=set(DatasetWords.model_fields)))


def read_dataset_settings(config: str, pairs: Sequence[str] = ()) -> DatasetSettings:
    """Reads a configuration file; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(DatasetSettings, [read_yaml(config), parse_assignments(pairs)], origin=config)


def engine_of(settings: DatasetSettings) -> EngineSettings:
    """The engine whose rounds the data set is made of.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    layers = [read_yaml(settings.engine), settings.engine_settings]
    return build(EngineSettings, layers, origin=settings.engine)

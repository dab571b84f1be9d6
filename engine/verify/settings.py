"""What the verify step needs, as a user states it in a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.assist.settings import AssistRun, ServerSettings
from engine.configuration import build, parse_assignments, read_yaml
from engine.verify.labelling import verdict_config
from stages.photos import PhotoLimits

INSTRUCTIONS: Final = """\
One mask a picture: the whole photo on the left, the mask from near on the right. Press A if the
outline fits one object (or a part of one), R if it is no object, F if it is one but the outline has
to be corrected. Ctrl+Enter submits, and the next mask comes. The mouse is not needed."""


class VerifyTasks(AssistRun):
    """The tasks as sending sees them: pictures instead of photos, a verdict instead of masks."""

    command: ClassVar[str] = "verify"

    def label_config(self) -> str:
        """The set-up of the project."""
        return verdict_config()


class VerifyRun(BaseModel):
    """A complete verify step."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    run: str = Field(description="The run whose masks are looked at; its reviews table grows.")
    out: str = Field(description="Folder of the pictures, and of what was sent.")
    project: str = Field(
        min_length=3, max_length=50, description="Title of the project in Label Studio."
    )
    order: Literal["worst", "random"] = Field(
        default="worst", description="Which masks: those of the lowest predicted IoU, or any."
    )
    most: int = Field(default=200, ge=1, le=100_000, description="How many masks are sent.")
    seed: int = Field(default=0, ge=0, description="Of the random choice.")
    again: bool = Field(default=False, description="Send masks too that have a review already.")
    instructions: str = Field(default=INSTRUCTIONS, description="What annotators read first.")
    annotators: int = Field(default=1, ge=1, le=20, description="How many people see each mask.")
    server: ServerSettings = Field(default_factory=ServerSettings, description="Label Studio.")
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )

    @property
    def pictures(self) -> str:
        """Folder of the pictures, each named by its mask."""
        return f"{self.out.rstrip('/')}/pictures"

    def tasks(self) -> VerifyTasks:
        """What is sent."""
        return VerifyTasks(
            source=self.pictures,
            source_name=f"verify-{self.project}",
            out=f"{self.out.rstrip('/')}/tasks",
            project=self.project,
            instructions=self.instructions,
            annotators=self.annotators,
            server=self.server,
        )


def read_verify_run(config: str, pairs: Sequence[str] = ()) -> VerifyRun:
    """Reads a configuration file; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(VerifyRun, [read_yaml(config), parse_assignments(pairs)], origin=config)

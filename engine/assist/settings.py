"""What the assisted-manual stage needs, as a user states it in a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.clicks.bell import Bell
from engine.clicks.log import log_folder
from engine.configuration import build, parse_assignments, read_yaml
from engine.label_studio.labelling_config import labelling_config
from stages.photos import PhotoLimits
from stages.schema import SCHEMA_VERSION

STAGE: Final = "assisted_manual"
# Raised whenever the same answers would give other records than before.
FORMAT_VERSION: Final = 2
SLOW_SECONDS: Final = 30.0
# In a run's folder: on which server its tasks are, and in which project.
PROJECT_FILE: Final = "label-studio.json"

INSTRUCTIONS: Final = """\
Mask every object you can name or point at, the most prominent first. No class names are needed.
Switch on Auto-Annotation (bottom) and click the purple tool (right), once. Click an object;
Alt+click takes away what is too much; accept the mask with the green tick, and click the next one.
Draw by hand what clicks do not get. If one object takes more than about 30 seconds, go on to the
next. When every object has its mask, tick "Every object has a mask" and submit. Skip photos that
cannot be seen."""


class ServerSettings(BaseModel):
    """Which Label Studio, and how it gets at the photos."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    url: str | None = Field(
        default=None,
        description="Address of the server; the local one (label-studio up) if unset.",
    )
    photos: Literal["shared", "addresses", "s3"] = Field(
        default="shared",
        description="How the server shows photos: shared (a folder it can read), addresses (the "
        "photos' own http addresses) or s3 (presigned by the server).",
    )
    photos_root: str | None = Field(
        default=None,
        description="For shared on a server elsewhere: where it sees the source's folder.",
    )
    document_root: str | None = Field(
        default=None,
        description="For shared on a server elsewhere: its LOCAL_FILES_DOCUMENT_ROOT.",
    )
    s3_endpoint: str | None = Field(
        default=None, description="Address of an S3-compatible store that is not Amazon's."
    )
    s3_region: str | None = Field(default=None, description="The bucket's region.")


class BackendSettings(BaseModel):
    """The click backend (`mask-engine serve`) that answers points and boxes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    url: str = Field(description="Where the server reaches it, such as http://127.0.0.1:9090.")
    credentials: str | None = Field(
        default=None,
        description="File with its user and password; its own file on this machine if unset.",
    )
    click_log: str | None = Field(
        default=None, description="Its log of prompts: seconds and clicks come from it."
    )

    @property
    def click_log_folder(self) -> Path | None:
        """Where its log of prompts is, or None where nobody said so."""
        return None if self.click_log is None else log_folder(self.click_log)

    @property
    def credentials_file(self) -> Path | None:
        """Where user and password stand, or None for the backend's own place."""
        return None if self.credentials is None else Path(self.credentials).expanduser()


class AssistRun(BaseModel):
    """A complete run of the assisted-manual stage; what all stages with people share.

    Attributes:
        stage: as rows name it.
        shows_outlines: whether tasks come with outlines of masks that were found before.
        command: the one that sends and collects, for messages.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    stage: ClassVar[str] = STAGE
    shows_outlines: ClassVar[bool] = False
    command: ClassVar[str] = "assist"

    source: str = Field(
        description="Photos: a folder, a glob, a .txt file of addresses, or an fsspec URL."
    )
    out: str = Field(description="The run's folder: a path or an fsspec URL.")
    source_name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the source, part of every id; the last part of its address if unset.",
    )
    project: str = Field(
        min_length=3, max_length=50, description="Title of the project in Label Studio."
    )
    instructions: str = Field(default=INSTRUCTIONS, description="What annotators read first.")
    names: tuple[str, ...] = Field(
        default=(), strict=False, description="Names of classes to offer; none are needed."
    )
    annotators: int = Field(default=1, ge=1, le=20, description="How many people do each photo.")
    winner: Literal["agreement", "first", "latest"] = Field(
        default="agreement",
        description="Whose masks count where several people did a photo: those who agree most "
        "with the others, who was first, or who was last.",
    )
    server: ServerSettings = Field(default_factory=ServerSettings, description="Label Studio.")
    backend: BackendSettings | None = Field(
        default=None, description="The click backend; without it, people draw by hand."
    )
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )
    round: int = Field(default=0, ge=0, description="Of the engine.")

    @classmethod
    def send_command(cls) -> str:
        """What is typed before anything can be collected."""
        return f"mask-engine {cls.command} send"

    @property
    def bell(self) -> Bell:
        """Rung by the click backend when somebody submits."""
        return Bell(self.backend.click_log_folder if self.backend else None)

    def label_config(self) -> str:
        """The set-up of the project."""
        return labelling_config(
            self.names, smart=self.backend is not None, outlines=self.shows_outlines
        )

    def records_depend_on(self) -> dict[str, Any]:
        """Everything that changes records: what the configuration digest is made of."""
        return {
            "stage": self.stage,
            "winner": self.winner,
            "annotators": self.annotators,
            "round": self.round,
            "limits": self.limits.model_dump(mode="json"),
            "schema_version": SCHEMA_VERSION,
            "format_version": FORMAT_VERSION,
        }


def read_assist_run(config: str, pairs: Sequence[str] = ()) -> AssistRun:
    """Reads a configuration file; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(AssistRun, [read_yaml(config), parse_assignments(pairs)], origin=config)

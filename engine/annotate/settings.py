"""What an annotating run needs, as a user states it in a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from engine.assist.settings import AssistRun
from engine.configuration import build, parse_assignments, read_yaml
from engine.page.settings import PageSettings

Kind = Literal["assisted_manual", "semi_automatic", "verify"]
# Raised whenever the same work would give other records than before.
_FORMAT_VERSION: Final = 1
_INSTRUCTIONS: Final = {
    "assisted_manual": "Mask every object you can name or point at, the most prominent first. If "
    "one takes more than about 30 seconds, go on to the next.",
    "semi_automatic": "Delete what is no object, correct what is wrong, then mask every object "
    "that is missing, the most prominent first.",
    "verify": "Look at each mask: accept it, reject it, or correct it.",
}


class AnnotateRun(AssistRun):
    """A complete annotating run: the assisted stage's settings without Label Studio, and these."""

    command: ClassVar[str] = "annotate"

    project: str = Field(default="annotate", min_length=3, max_length=50, description="Its title.")
    instructions: str = Field(
        default="", description="What annotators read first; the kind's own if empty."
    )
    kind: Kind = Field(
        default="assisted_manual",
        description="What people do: mask everything (assisted_manual), finish what a model began "
        "(semi_automatic), or judge masks that are there (verify).",
    )
    masks: str | None = Field(
        default=None,
        description="Folder of the run whose masks photos begin with: of `auto`, or the proposals "
        "of `semi`. For semi_automatic and verify.",
    )
    hint_seconds: float = Field(
        default=30.0, gt=0, description="After so long on one mask, the page gives a hint."
    )
    click_log: str = Field(
        default="clicks",
        min_length=1,
        description="Folder of the log of prompts, the click backend's own if nobody says more.",
    )
    page: PageSettings = Field(
        default_factory=PageSettings, description="Where the page is served, and its model."
    )

    @model_validator(mode="after")
    def _masks_where_they_are_needed(self) -> AnnotateRun:
        if (self.masks is None) != (self.kind == "assisted_manual"):
            needs = "takes no" if self.masks else "needs"
            raise ValueError(f"kind {self.kind} {needs} masks to begin with (masks: RUN)")
        return self

    @property
    def row_stage(self) -> str:
        """As rows name it."""
        return "assisted_manual" if self.kind == "assisted_manual" else "semi_automatic"

    @property
    def shown_instructions(self) -> str:
        """What annotators read first."""
        return self.instructions or _INSTRUCTIONS[self.kind]

    def records_depend_on(self) -> dict[str, Any]:
        """Everything that changes records: what the configuration digest is made of."""
        return {
            **super().records_depend_on(),
            "stage": self.row_stage,
            "kind": self.kind,
            "masks": self.masks,
            "annotate_version": _FORMAT_VERSION,
        }


def read_annotate_run(config: str, pairs: Sequence[str] = ()) -> AnnotateRun:
    """Reads a configuration file; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(AnnotateRun, [read_yaml(config), parse_assignments(pairs)], origin=config)

"""What the semi-automatic stage needs, as a user states it in a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from engine.assist.settings import AssistRun
from engine.configuration import build, parse_assignments, read_yaml
from engine.label_studio.outline import OUTLINE_VERSION
from stages.semi_automatic import SEMI_AUTOMATIC, SemiAutomaticParameters

INSTRUCTIONS: Final = """\
Outlines show what was found already. Delete what is no object (click it, then Backspace); drag a
point where an outline is wrong; leave the others alone. Then mask every object that is missing, the
most prominent first: switch on Auto-Annotation (bottom), click the purple tool (right), once,
and click the object; Alt+click takes away what is too much; accept with the green tick. When every
object has its mask, tick "Every object has a mask" and submit."""


class SemiRun(AssistRun):
    """A complete run of the semi-automatic stage: the assisted one's settings, and these."""

    stage: ClassVar[str] = SEMI_AUTOMATIC
    shows_outlines: ClassVar[bool] = True
    command: ClassVar[str] = "semi"

    instructions: str = Field(default=INSTRUCTIONS, description="What annotators read first.")
    detector: str = Field(
        description="Finds the boxes: a file that `mask-engine train-detector` made."
    )
    checkpoint: str = Field(
        default="starter", description="The model: a name, or the path of a checkpoint file."
    )
    parameters: SemiAutomaticParameters = Field(
        default_factory=SemiAutomaticParameters, description="Which masks prefill tasks."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the model; the cores if unset."
    )
    device: str = Field(default="cpu", description="Where the model runs: cpu, cuda or mps.")

    @property
    def proposals(self) -> str:
        """Folder of the run that holds the masks that prefill tasks, exactly."""
        return f"{self.out.rstrip('/')}/proposals"

    def records_depend_on(self) -> dict[str, Any]:
        """Everything that changes what collecting makes of the same answers."""
        return {**super().records_depend_on(), "outline_version": OUTLINE_VERSION}


def read_semi_run(config: str, pairs: Sequence[str] = ()) -> SemiRun:
    """Reads a configuration file; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(SemiRun, [read_yaml(config), parse_assignments(pairs)], origin=config)

"""What the ledger holds of a step: what went in and came out, with which settings and code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stages.ids import digest


class Entry(BaseModel):
    """One finished step, a rollback, or a step that is begun anew.

    Attributes:
        number: its place in the order of things.
        kind: a step; a rollback to before `round`, or to before the first of its `steps`; or a
            begun step of that round that other settings begin anew.
        round: 0 is what was there before the first round.
        step: its name.
        steps: of the round, those that a rollback or a new beginning makes void; all if empty.
        generation: how often the step was begun anew after rollbacks, from 1.
        inputs, outputs: addresses relative to the engine's folder, or model ids, by what they are.
        counts: photos, masks, clicks and the like.
        figures: measured results.
        settings: the part of the configuration that the step depends on.
        settings_digest: of it.
        model_id: of the checkpoint that the step used or made.
        reason: in words, where something was decided.
        code: versions of what took part.
        finished: when, in UTC; for people, nothing is ordered by it.
        seconds: that the last attempt took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["step", "rollback", "anew"] = "step"
    number: int
    round: int
    step: str
    steps: tuple[str, ...] = ()
    generation: int
    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, float] = Field(default_factory=dict)
    figures: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    settings_digest: str = ""
    model_id: str | None = None
    reason: str | None = None
    code: dict[str, str] = Field(default_factory=dict)
    finished: str = ""
    seconds: float = 0.0

    def voids(self, number: int, step: str) -> bool:
        """Whether this makes an earlier step of a round void."""
        if self.kind == "step":
            return False
        if number != self.round:
            return self.kind == "rollback" and number > self.round
        return not self.steps or step in self.steps


@dataclass(frozen=True)
class Outcome:
    """What a step gives the ledger; fields as in `Entry`."""

    inputs: Mapping[str, str] | None = None
    outputs: Mapping[str, str] | None = None
    counts: Mapping[str, float] | None = None
    figures: Mapping[str, Any] | None = None
    model_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class StepKey:
    """Which step: its round, its generation, its name."""

    round: int
    generation: int
    step: str


def settings_digest(settings: Mapping[str, Any]) -> str:
    """16 hex digits of a part of the configuration."""
    return digest(json.dumps(settings, sort_keys=True, separators=(",", ":")))

"""A configuration that is not the one finished steps were made with: what, and which rounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.rounds.ledger import Ledger
from engine.rounds.settings import EngineSettings
from engine.rounds.steps import Step, steps_of
from model.errors import ConfigurationError

COLLECT: Final = "collect"


@dataclass(frozen=True)
class Change:
    """A setting that differs from what a step was made (or begun) with.

    Attributes:
        round, step: which step.
        key: of the setting, with dots.
        was, now: the values, as JSON.
    """

    round: int
    step: str
    key: str
    was: str
    now: str


def refuse_changes(ledger: Ledger, settings: EngineSettings) -> None:
    """Checks that what is done still belongs to this configuration.

    A change that touches only steps to come is none: they will be made with it.

    Raises:
        ConfigurationError: naming what changed, and the rounds it touches.
    """
    changes = list(find_changes(ledger, settings))
    if not changes:
        return
    first = changes[0]
    later = sorted({entry.round for entry in ledger.standing if entry.round >= first.round})
    touched = _described([change.round for change in changes] + later)
    is_whole = first.key == "rounds" or first.step == steps_of(first.round, first.round)[0].name
    part = "" if is_whole else f" --from {first.step}"
    raise ConfigurationError(
        f"{ledger.folder.address}: the configuration has changed: {_told(changes)}. "
        f"This touches {touched}, which would have to be made again. Nothing was done: give the "
        f"old values to go on, or run `mask-engine rollback {first.round}{part}` with this "
        "configuration and begin again from there (folders stay)."
    )


def begin_anew(ledger: Ledger, settings: EngineSettings, number: int, step: Step) -> Ledger:
    """The ledger in which a step that other settings had begun begins anew, alone.

    Half of its work was done with them, so it gets a folder of its own; what is finished stays.

    Raises:
        ConfigurationError: if people are at work on what was begun.
    """
    was = ledger.begun_with(number, step.name)
    changes = [] if was is None else list(_changes(was, settings, number, step))
    if not changes:
        return ledger
    if step.name == COLLECT and settings.people.kind == "label_studio":
        raise ConfigurationError(
            f"{ledger.folder.address}: round {number} was sent to people, and since then the "
            f"configuration has changed: {_told(changes)}. With it they would begin again, in a "
            "new project, and what they did so far would stay behind. Nothing was done: give the "
            f"old values to go on, or run `mask-engine rollback {number} --from {COLLECT}`."
        )
    return ledger.begun_anew(number, step.name, f"{step.name} begins anew: {_told(changes)}")


def find_changes(ledger: Ledger, settings: EngineSettings) -> Iterator[Change]:
    """Settings of standing steps that are not what they were, the earliest first."""
    rounds = settings.flat_rounds()
    for number in sorted({entry.round for entry in ledger.standing}):
        if number > len(rounds) + 1:
            yield Change(number, "plan", "rounds", f"{number} or more", f"{len(rounds)}")
            continue
        steps = steps_of(number, len(rounds))
        known = {step.name for step in steps}
        others = [e.step for e in ledger.standing if e.round == number and e.step not in known]
        if others:
            # Rounds were put where the controls stood, or the other way round.
            yield Change(number, others[0], "rounds", f"{others[0]} as {number}", steps[0].name)
            continue
        for step in steps:
            entry = ledger.find(number, step.name)
            if entry is not None:
                yield from _changes(entry.settings, settings, number, step)


def _changes(
    was: Mapping[str, Any], settings: EngineSettings, number: int, step: Step
) -> Iterator[Change]:
    rounds = settings.flat_rounds()
    its = rounds[number - 1] if 1 <= number <= len(rounds) else None
    now = json.loads(json.dumps(step.depends_on(settings, its)))
    for key, before, after in _differences(was, now):
        yield Change(number, step.name, key, before, after)


def _told(changes: Sequence[Change]) -> str:
    """What changed, each once."""
    told = dict.fromkeys(f"{change.key} was {change.was}, now {change.now}" for change in changes)
    return "; ".join(list(told)[:5])


def _differences(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    for key in sorted(was.keys() | now.keys()):
        before, after = was.get(key), now.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _shown(before), _shown(after)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _described(numbers: Sequence[int]) -> str:
    """`round 2`, `rounds 2, 3 and 5`."""
    unique = [str(number) for number in sorted(set(numbers))]
    if len(unique) == 1:
        return f"round {unique[0]}"
    return f"rounds {', '.join(unique[:-1])} and {unique[-1]}"

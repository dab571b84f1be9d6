"""A configuration that is not the one finished steps were made with: what, and which rounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.rounds.ledger import Ledger
from engine.rounds.settings import EngineSettings
from engine.rounds.steps import steps_of
from model.errors import ConfigurationError


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
    told: dict[str, str] = {}
    for change in changes:
        told.setdefault(f"{change.key} was {change.was}, now {change.now}", change.step)
    first = min(change.round for change in changes)
    later = sorted({entry.round for entry in ledger.standing if entry.round >= first})
    touched = _described([change.round for change in changes] + later)
    raise ConfigurationError(
        f"{ledger.folder.address}: the configuration has changed: {'; '.join(list(told)[:5])}. "
        f"This touches {touched}, which would have to be made again. Nothing was done: give the "
        f"old values to go on, or run `mask-engine rollback {first}` with this configuration and "
        "begin again from there (folders stay)."
    )


def find_changes(ledger: Ledger, settings: EngineSettings) -> Iterator[Change]:
    """Settings of standing or begun steps that are not what they were."""
    rounds = settings.flat_rounds()
    numbers = {entry.round for entry in ledger.standing}
    open_round = max(numbers, default=0)
    for number in sorted({*numbers, open_round + 1}):
        if number > len(rounds) + 1:
            if number not in numbers:
                continue
            yield Change(number, "plan", "rounds", f"{number} or more", f"{len(rounds)}")
            continue
        its = rounds[number - 1] if 1 <= number <= len(rounds) else None
        steps = steps_of(number, len(rounds))
        known = {step.name for step in steps}
        others = [e.step for e in ledger.standing if e.round == number and e.step not in known]
        if others:
            # Rounds were put where the controls stood, or the other way round.
            yield Change(number, others[0], "rounds", f"{others[0]} as {number}", steps[0].name)
            continue
        for step in steps:
            was = _made_with(ledger, number, step.name)
            if was is None:
                continue
            now = json.loads(json.dumps(step.depends_on(settings, its)))
            for key, before, after in _differences(was, now):
                yield Change(number, step.name, key, before, after)


def _made_with(ledger: Ledger, number: int, step: str) -> Mapping[str, Any] | None:
    """The settings that a step was made with, or was begun with and not finished."""
    entry = ledger.find(number, step)
    if entry is not None:
        return entry.settings
    generation = ledger.generation(number)
    again = f"-{generation}" if generation > 1 else ""
    try:
        begun = ledger.folder.read(f"rounds/{number:02d}{again}/begun-{step}.json")
        found: Mapping[str, Any] = json.loads(begun)
    except (FileNotFoundError, ValueError):
        return None
    return found


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

"""How far an engine is, from its ledger alone: rounds and steps, people's effort, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.console import columns
from engine.rounds.changes import find_changes, refuse_changes
from engine.rounds.entries import Entry
from engine.rounds.ledger import CONFIGURATIONS, Ledger, is_engine, open_ledger
from engine.rounds.people import WAITING_FILE
from engine.rounds.run import all_steps
from engine.rounds.settings import EngineSettings, read_engine
from engine.rounds.steps import steps_from, steps_of
from model.errors import ConfigurationError
from stages.records import AUTOMATIC

FIGURES: Final = (
    ("clicks_85", "clicks to 85 %"),
    ("clicks_90", "to 90 %"),
    ("iou_1", "IoU, 1 click"),
    ("mean_iou", "1-5 clicks"),
    ("found", "found"),
    ("untouched", "untouched"),
    ("ar_100", "AR@100"),
    ("ar_1000", "AR@1000"),
)


def engine_folder(where: str, pairs: Sequence[str] = ()) -> str:
    """The folder that a configuration or an address means."""
    return read_engine(where, pairs).out if where.endswith(CONFIGURATIONS) else where


def engine_status(where: str, pairs: Sequence[str] = ()) -> tuple[Ledger, EngineSettings | None]:
    """The ledger, and the configuration where it was given; `key=value` pairs win over it.

    Raises:
        ConfigurationError: if no engine was run there.
    """
    settings = read_engine(where, pairs) if where.endswith(CONFIGURATIONS) else None
    return open_ledger(where if settings is None else settings.out), settings


def plan_lines(settings: EngineSettings) -> list[str]:
    """What the engine would do, round by round, and what of it is done."""
    done: set[tuple[int, str]] = set()
    changed: set[tuple[int, str]] = set()
    refused = ""
    if is_engine(settings.out):
        ledger = open_ledger(settings.out)
        done = {(e.round, e.step) for e in ledger.standing}
        changed = {(change.round, change.step) for change in find_changes(ledger, settings)}
        try:
            refuse_changes(ledger, settings)
        except ConfigurationError as error:
            refused = f"would be refused: {error}"
    rounds = settings.flat_rounds()
    rows = []
    for number, step in all_steps(settings):
        state = "done" if (number, step.name) in done else "to do"
        state = "changed" if (number, step.name) in changed else state
        rows.append((_title(number, settings), step.name, state, step.what))
    lines = columns([("round", "step", "", "what"), *_without_repetition(rows)], indent=0)
    photos = sum(its.photos.count for its in rounds)
    summary = f"{len(rounds)} rounds, {photos} photos, {len(rows)} steps, {len(done)} done"
    lines += ["", summary, f"ledger: {settings.out}/ledger"]
    return [*lines, "", refused] if refused else lines


def status_lines(ledger: Ledger, settings: EngineSettings | None = None) -> list[str]:
    """The tables that `mask-engine status` shows."""
    lines = [state_of(ledger, settings), ""]
    lines += _rounds_table(ledger, settings)
    lines += ["", "checkpoints on the held-out masks", *_checkpoints_table(ledger)]
    if controls := _controls(ledger):
        lines += ["", "controls", *controls]
    return lines


def status_json(ledger: Ledger, settings: EngineSettings | None) -> dict[str, Any]:
    """The same for programs."""
    in_use = ledger.last("promote")
    return {
        "engine": ledger.folder.address,
        "next": None if settings is None else _next(ledger, settings),
        "model_id": in_use and in_use.model_id,
        "steps": [entry.model_dump(mode="json") for entry in ledger.standing],
    }


def state_of(ledger: Ledger, settings: EngineSettings | None) -> str:
    """Where it stands, in a few words."""
    if settings is None:
        last = ledger.standing[-1] if ledger.standing else None
        if last is None:
            return "nothing is done yet"
        return (
            f"last: round {last.round}, {last.step}; next: {_after(last)}{_waiting(ledger, last)}"
        )
    following = _next(ledger, settings)
    return "finished" if following is None else f"next: {following}"


def _next(ledger: Ledger, settings: EngineSettings) -> str | None:
    for number, step in all_steps(settings):
        if ledger.find(number, step.name) is None:
            rounds = settings.flat_rounds()
            is_asked = step.name == "collect" and rounds[number - 1].stage != AUTOMATIC
            people = is_asked and settings.people.kind == "label_studio"
            waits = ", which waits for people" if people else ""
            said = _said_last(ledger, number, step.name) if people else ""
            return f"round {number}, {step.name} ({step.what}){waits}{said}"
    return None


def _after(last: Entry) -> str:
    """The step behind one, from the ledger alone, which knows no number of rounds."""
    following = steps_from(last.round, last.step)[1:]
    if following:
        return f"round {last.round}, {following[0]}"
    return f"round {last.round + 1}, if the configuration has one"


def _waiting(ledger: Ledger, last: Entry) -> str:
    following = steps_from(last.round, last.step)[1:2]
    return _said_last(ledger, last.round, following[0]) if following else ""


def _said_last(ledger: Ledger, number: int, step: str) -> str:
    """What the last call said when it stopped to wait, if the step waits."""
    try:
        said = json.loads(ledger.folder.read(ledger.place(number, step, WAITING_FILE)))
        return f": {said['done']} of {said['asked']} photos were done, at {said['url']}"
    except (FileNotFoundError, ValueError, KeyError):
        return ""


def _rounds_table(ledger: Ledger, settings: EngineSettings | None) -> list[str]:
    header = (
        *("round", "steps", "photos", "masks", "a photo", "clicks a mask", "seconds a mask"),
        *("automatic", "model", "why"),
    )
    numbers = sorted({entry.round for entry in ledger.standing})
    rows = [_round_row(number, ledger, settings) for number in numbers if number > 0]
    return columns([header, *rows], indent=0) if rows else ["no round yet"]


def _round_row(number: int, ledger: Ledger, settings: EngineSettings | None) -> tuple[str, ...]:
    entries = {entry.step: entry for entry in ledger.standing if entry.round == number}
    total = len(steps_of(number, len(settings.flat_rounds()) if settings else number))
    source = _confirmed(entries)
    counts: Mapping[str, float] = source.counts if source else {}
    built = entries["build"].counts if "build" in entries else {}
    of_machine = built.get("machines_masks", 0.0)
    promoted = entries.get("promote")
    candidate = (entries["train"].model_id or "")[:8] if "train" in entries else ""
    outcome = "" if promoted is None else ("promoted" if promoted.outputs else "kept the old one")
    return (
        _title(number, settings),
        f"{len(entries)} of {total}",
        _whole(counts.get("photos")),
        _whole(counts.get("masks")),
        _ratio(counts.get("masks"), counts.get("photos")),
        _ratio(counts.get("clicks"), counts.get("masks")),
        _ratio(counts.get("seconds"), counts.get("timed_masks")),
        _share(of_machine, of_machine + built.get("peoples_masks", 0.0)),
        candidate,
        outcome,
    )


def _confirmed(entries: Mapping[str, Entry]) -> Entry | None:
    for step in ("collect", "propose", "same-clicks"):
        if step in entries and entries[step].counts:
            return entries[step]
    return None


def _checkpoints_table(ledger: Ledger) -> list[str]:
    rows = [("round", "model", *(title for _, title in FIGURES))]
    for entry in ledger.standing:
        if entry.step in ("evaluate", "machine-evaluate") and entry.figures:
            name = str(entry.round) if entry.step == "evaluate" else "machine alone"
            values = (entry.figures.get(key) for key, _ in FIGURES)
            told = ("-" if value is None else f"{value:.3f}" for value in values)
            rows.append((name, (entry.model_id or "")[:8], *told))
    return columns(rows, indent=0) if len(rows) > 1 else ["none yet"]


def _controls(ledger: Ledger) -> list[str]:
    same = ledger.last("same-clicks")
    if same is None or not same.counts:
        return []
    other = same.figures["with_retraining"]
    without = _ratio(same.counts["clicks"], same.counts["masks"])
    with_it = _ratio(other.get("clicks"), other.get("masks"))
    return [
        f"{same.inputs['photos']} again with the first model: {without} clicks a mask, "
        f"{with_it} with the model of the time"
    ]


def _title(number: int, settings: EngineSettings | None) -> str:
    if settings is None or number == 0:
        return f"{number} beginning" if number == 0 else str(number)
    rounds = settings.flat_rounds()
    if number > len(rounds):
        return f"{number} controls"
    return f"{number} {rounds[number - 1].stage}"


def _without_repetition(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    shown, before = [], ""
    for first, *rest in rows:
        shown.append((first if first != before else "", *rest))
        before = first
    return shown


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _ratio(value: float | None, over: float | None) -> str:
    return f"{value / over:.2f}" if value is not None and over else "-"


def _share(value: float, of: float) -> str:
    return f"{value / of:.0%}" if of else "-"

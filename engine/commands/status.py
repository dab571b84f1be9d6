"""`mask-engine status`: how far a run is, or an engine."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.console import columns, duration, result

if TYPE_CHECKING:
    from pipelines.status import RunStatus

EPILOG: Final = """[bold]Examples[/bold]

mask-engine status runs/mine

mask-engine status s3://bucket/runs/one --json

mask-engine status configs/engine-demo.yaml --set out=runs/mine"""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("status", epilog=EPILOG)(status)


def status(
    where: Annotated[
        str,
        typer.Argument(
            metavar="WHERE", help="A run's folder, an engine's folder, or its configuration."
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="As `mask-engine run` got it."),
    ] = None,
) -> None:
    """Say how far a run is: done, failed, speed, time left; of an engine, its rounds and steps.

    Reads files only, so it can be asked from anywhere while the work is under way.
    """
    from engine.rounds.ledger import is_engine_place

    if is_engine_place(where):
        _tell_engine(where, settings or [], as_json=as_json)
        return
    from pipelines.status import run_status

    now = run_status(where)
    if as_json:
        result(json.dumps(dataclasses.asdict(now) | {"failed": now.failed}, default=dict))
        return
    for line in status_lines(now):
        result(line)


def _tell_engine(where: str, pairs: list[str], *, as_json: bool) -> None:
    from engine.rounds.status import engine_status, status_json
    from engine.rounds.status import status_lines as engine_lines

    ledger, settings = engine_status(where, pairs)
    if as_json:
        result(json.dumps(status_json(ledger, settings)))
        return
    for line in engine_lines(ledger, settings):
        result(line)


def status_lines(now: RunStatus) -> list[str]:
    """The status as a short table."""
    pairs = [
        ("state", "finished" if now.finished else "not finished"),
        ("source", now.source),
        ("photos done", _done(now)),
        ("shards done", f"{now.shards_done:,} of {now.shards_planned:,}"),
        ("masks", f"{now.masks:,}"),
        ("failed", _failed(now)),
    ]
    if now.images_per_second:
        pairs.append(("photos a second", f"{now.images_per_second:.2f}"))
    if not now.finished and now.seconds_left is not None:
        pairs.append(("time left, about", duration(now.seconds_left)))
    width = max(len(name) for name, _ in pairs)
    lines = [f"{name.ljust(width)}  {value}" for name, value in pairs]
    if now.failures:
        lines += columns((kind, f"{count:,}") for kind, count in sorted(now.failures.items()))
    return lines


def _done(now: RunStatus) -> str:
    if not now.rows_planned:
        return "none yet: photos that people work on count once they are collected"
    share = now.rows_done / now.rows_planned
    return f"{now.rows_done:,} of {now.rows_planned:,} ({share:.0%})"


def _failed(now: RunStatus) -> str:
    return f"{now.failed:,}" + (":" if now.failed else "")

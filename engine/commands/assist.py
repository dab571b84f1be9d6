"""`mask-engine assist`: photos to people, and what they drew into shards."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.commands.extras import require_client
from engine.console import columns, duration, note, progress, result

if TYPE_CHECKING:
    from engine.assist.collecting import Collected
    from engine.assist.progress import Harvest
    from engine.assist.sending import Sent
    from engine.assist.settings import AssistRun

_SEND_EPILOG: Final = """[bold]Examples[/bold]

mask-engine assist send configs/assist-examples.yaml

mask-engine assist send configs/assist-examples.yaml --set source=~/photos --set out=runs/people

Send again whenever you like: photos that are there are not sent twice."""
_COLLECT_EPILOG: Final = """[bold]Examples[/bold]

mask-engine assist collect configs/assist-examples.yaml

mask-engine assist collect configs/assist-examples.yaml --every 60

Collect again whenever you like: what did not change is not touched."""

app = typer.Typer(no_args_is_help=True, help="People draw masks, with the model's help.")

app.callback()(require_client)

ConfigArgument = Annotated[str, typer.Argument(help="YAML file of settings.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
]


@app.command(epilog=_SEND_EPILOG)
def send(config: ConfigArgument, *, settings: SetOption = None) -> None:
    """Make the project in Label Studio and give it a task for each photo."""
    from engine.assist.connection import connected
    from engine.assist.sending import send as send_photos
    from engine.assist.settings import read_assist_run

    run = read_assist_run(config, settings or ())
    with connected(run.server) as connection, progress("sending", "photos") as meter:
        sent = send_photos(run, connection, told=lambda done, total: meter(done, total))
    for line in sent_lines(sent, f"mask-engine assist collect {config}"):
        result(line)


@app.command(epilog=_COLLECT_EPILOG)
def collect(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    every: Annotated[
        float | None, typer.Option(min=1, help="Look again each so many seconds, until stopped.")
    ] = None,
) -> None:
    """Bring what people finished into shards."""
    from engine.assist.settings import read_assist_run

    run = read_assist_run(config, settings or ())
    while True:
        _collect_once(run)
        if every is None:
            return
        note(f"looking again in {duration(every)}; Ctrl+C stops")
        time.sleep(every)


@app.command()
def status(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how far the people are, and what was collected."""
    from engine.assist.connection import connected
    from engine.assist.progress import server_progress
    from engine.assist.settings import read_assist_run

    run = read_assist_run(config, settings or ())
    with connected(run.server) as connection:
        now = server_progress(run, connection)
    if as_json:
        result(json.dumps(asdict(now)))
        return
    rows = [(name.replace("_", " "), f"{value:,}") for name, value in asdict(now).items()]
    for line in columns(rows, indent=0):
        result(line)


def _collect_once(run: AssistRun) -> None:
    from engine.assist.collecting import collect as collect_answers
    from engine.assist.collecting import sent_run
    from engine.assist.connection import connected
    from engine.assist.progress import harvest

    with connected(run.server) as connection, progress("collecting", "tasks") as meter:
        found = collect_answers(run, connection, told=lambda done, total: meter(done, total))
        counted = harvest(run, sent_run(run, connection.studio)[0])
    for line in collected_lines(found, counted):
        result(line)
    if counted.photos:
        result(f"\nLook at it:  mask-engine report {run.out}")


def sent_lines(sent: Sent, then: str) -> list[str]:
    """What sending did, and what comes next."""
    rows = [("new tasks", f"{sent.added:,}"), ("there before", f"{sent.there:,}")]
    if sent.removed:
        rows.append(("doubles removed", f"{sent.removed:,}"))
    return [
        *columns(rows, indent=0),
        "",
        f"Annotate here:   {sent.url}",
        f"Then collect:    {then}",
    ]


def collected_lines(found: Collected, counted: Harvest) -> list[str]:
    """What a collection brought and what the run holds now, as a short table."""
    rows = [
        ("tasks finished", f"{found.finished:,}"),
        ("new since last time", f"{found.fresh:,}"),
        ("changed since last time", f"{found.changed:,}"),
        ("photos collected", f"{counted.photos:,}"),
        ("skipped", f"{counted.skipped:,}"),
        ("empty", f"{counted.empty:,}"),
        ("every object masked", f"{counted.exhaustive:,}"),
        ("masks", f"{counted.masks:,}"),
        ("made by clicking", f"{counted.clicked:,}"),
        ("took over 30 s", f"{counted.slow:,}"),
    ]
    if counted.masks:
        rows.append(("seconds a mask", f"{counted.seconds / counted.masks:.1f}"))
    if counted.clicked:
        rows.append(("clicks a clicked mask", f"{counted.clicks / counted.clicked:.1f}"))
    if counted.agreement is not None:
        rows.append(("agreement (mean best IoU)", f"{counted.agreement:.3f}"))
    lines = columns(rows, indent=0)
    if found.gone:
        lines += ["", f"{len(found.gone)} collected photos have no task any more; their masks stay"]
    if counted.problems:
        lines += ["", "of no use, or partly", *(f"  {problem}" for problem in counted.problems)]
    return lines

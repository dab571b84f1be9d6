"""`mask-engine verify`: single masks to people, and their verdicts into the reviews table."""

from __future__ import annotations

from typing import Final

import typer

from engine.commands.extras import require_client
from engine.commands.options import (
    ConfigArgument,
    JsonOption,
    SetOption,
    UrlOption,
    assignments,
)
from engine.commands.people import tell_sent, tell_status
from engine.console import columns, progress, result

_SEND_EPILOG: Final = """[bold]Examples[/bold]

mask-engine verify send configs/verify-examples.yaml

mask-engine verify send configs/verify-examples.yaml --set order=random --set most=50
--set out=runs/verify-sample --set project=Sample

What was chosen stays chosen: sending again only sends what is missing. Another choice needs an out
and a project of its own."""
_COLLECT_EPILOG: Final = """[bold]Examples[/bold]

mask-engine verify collect configs/verify-examples.yaml

Collect again whenever you like: a verdict is never added twice."""

MOST_NAMED: Final = 20

app = typer.Typer(no_args_is_help=True, help="People accept, reject or send back single masks.")


@app.command(epilog=_SEND_EPILOG)
def send(config: ConfigArgument, *, settings: SetOption = None, url: UrlOption = None) -> None:
    """Draw the masks to be looked at, and give each a task."""
    require_client()
    from engine.verify.settings import read_verify_run
    from engine.verify.stage import send as send_masks

    run = read_verify_run(config, assignments(settings, url))
    with progress("verify", "masks") as meter:
        sent = send_masks(run, told=lambda done, total, what: meter(done, total, what))
    tell_sent(sent, f"mask-engine verify collect {config}")
    if sent.unseen:
        result(f"\n{len(sent.unseen):,} masks have no task, because they cannot be shown:")
        for why in sent.unseen[:MOST_NAMED]:
            result(f"  {why}")
    result("Keys:            A accept, R reject, F fix; Ctrl+Enter submits (Label All Tasks)")


@app.command(epilog=_COLLECT_EPILOG)
def collect(config: ConfigArgument, *, settings: SetOption = None, url: UrlOption = None) -> None:
    """Bring what people said into the run's reviews table."""
    require_client()
    from engine.verify.settings import read_verify_run
    from engine.verify.stage import collect as collect_verdicts

    run = read_verify_run(config, assignments(settings, url))
    with progress("collecting", "tasks") as meter:
        found = collect_verdicts(run, told=lambda done, total, what: meter(done, total, what))
    rows = [
        ("masks sent", f"{found.sent:,}"),
        ("looked at", f"{found.finished:,}"),
        ("skipped", f"{found.skipped:,}"),
        ("new reviews", f"{found.added:,}"),
        *((verdict, f"{count:,}") for verdict, count in sorted(found.verdicts.items())),
    ]
    for line in columns(rows, indent=0):
        result(line)
    for problem in found.problems:
        result(f"of no use: {problem}")
    result(f"\nThey are rows of {run.run.rstrip('/')}/reviews/")


@app.command()
def status(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far the people are, and what they said of the masks that were collected."""
    require_client()
    from engine.verify.progress import status as ask
    from engine.verify.settings import read_verify_run

    now = ask(read_verify_run(config, assignments(settings, url)))
    tell_status(now, f"mask-engine verify send {config}", as_json=as_json)

"""`mask-engine assist`: photos to people, and what they drew into shards."""

from __future__ import annotations

from typing import Final

import typer

from engine.commands.extras import require_client
from engine.commands.options import (
    ConfigArgument,
    EveryOption,
    JsonOption,
    SetOption,
    UrlOption,
    assignments,
)
from engine.commands.people import collected_lines, repeat, tell_sent, tell_status
from engine.console import progress, result

_SEND_EPILOG: Final = """[bold]Examples[/bold]

mask-engine assist send configs/assist-examples.yaml

mask-engine assist send configs/assist-examples.yaml --set source=~/photos --set out=runs/people

mask-engine assist send configs/mine.yaml --url https://label-studio.example.org

Send again whenever you like: photos that are there are not sent twice."""
_COLLECT_EPILOG: Final = """[bold]Examples[/bold]

mask-engine assist collect configs/assist-examples.yaml

mask-engine assist collect configs/assist-examples.yaml --every 60

Collect again whenever you like: what did not change is not touched."""

app = typer.Typer(no_args_is_help=True, help="People draw masks, with the model's help.")


@app.command(epilog=_SEND_EPILOG)
def send(config: ConfigArgument, *, settings: SetOption = None, url: UrlOption = None) -> None:
    """Make the project in Label Studio and give it a task for each photo."""
    require_client()
    from engine.assist.connection import connected
    from engine.assist.sending import send as send_photos
    from engine.assist.settings import read_assist_run

    run = read_assist_run(config, assignments(settings, url))
    with connected(run.server) as connection, progress("sending", "photos") as meter:
        sent = send_photos(run, connection, told=lambda done, total: meter(done, total))
    tell_sent(sent, f"mask-engine assist collect {config}")


@app.command(epilog=_COLLECT_EPILOG)
def collect(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    url: UrlOption = None,
    every: EveryOption = None,
) -> None:
    """Bring what people finished into shards."""
    require_client()
    from engine.assist.collecting import collect as collect_answers
    from engine.assist.collecting import sent_run
    from engine.assist.connection import connected
    from engine.assist.progress import harvest
    from engine.assist.settings import read_assist_run

    run = read_assist_run(config, assignments(settings, url))

    def collect_once() -> None:
        with connected(run.server) as connection, progress("collecting", "tasks") as meter:
            found = collect_answers(run, connection, told=lambda done, total: meter(done, total))
            counted = harvest(run, sent_run(run, connection.studio)[0])
        for line in collected_lines(found, counted):
            result(line)
        if counted.photos:
            result(f"\nLook at it:  mask-engine report {run.out}")

    repeat(collect_once, every, run.bell)


@app.command()
def status(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far the people are, and what was collected."""
    require_client()
    from engine.assist.connection import connected
    from engine.assist.progress import server_progress
    from engine.assist.settings import read_assist_run

    run = read_assist_run(config, assignments(settings, url))
    with connected(run.server) as connection:
        now = server_progress(run, connection)
    tell_status(now, f"mask-engine assist send {config}", as_json=as_json)

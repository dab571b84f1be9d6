"""`mask-engine label-studio`: a local Label Studio, started, stopped, and its chain checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Final

import typer

from engine.commands.extras import require_client
from engine.commands.options import JsonOption, SetOption, UrlOption, assignments
from engine.console import columns, duration, note, progress, result

_UP_EPILOG: Final = """[bold]Examples[/bold]

mask-engine label-studio up

mask-engine label-studio up --port 8081 --home /data/label-studio"""
_CHECK_EPILOG: Final = """[bold]Examples[/bold]

mask-engine label-studio check

mask-engine label-studio check configs/assist-examples.yaml

mask-engine label-studio check configs/semi-examples.yaml

mask-engine label-studio check --url https://label-studio.example.org"""

app = typer.Typer(
    no_args_is_help=True, help="A Label Studio of your own on this machine; check any."
)

HomeOption = Annotated[
    str | None,
    typer.Option("--home", help="The server's folder. [~/.local/share/mask-engine/label-studio]"),
]


@app.command(epilog=_UP_EPILOG)
def up(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8080,
    home: HomeOption = None,
) -> None:
    """Start it, on this machine only, and say how to log in.

    The first start installs it into its own folder (1 GB, some minutes) unless it is there,
    makes its database and its credentials. Starting again leaves a running one alone.
    """
    require_client()
    from engine.label_studio.home import Home
    from engine.label_studio.installation import find_program, install
    from engine.label_studio.server import start

    place = Home.of(home)
    place.make()
    program = find_program(place)
    if program is None:
        note("installing Label Studio into its own folder: 1 GB, some minutes")
        with progress("installing", "MB"):
            program = install(place)
    with progress("starting Label Studio", "seconds") as meter:
        running = start(place, program, port=port, waiting=lambda seconds: meter(int(seconds)))
    credentials = place.ensure_credentials()
    result(f"Label Studio is up: {running.url}")
    result(f"  log in with  {credentials.email}")
    result(f"  password     in {place.folder / 'credentials.json'} (only you can read it)")
    result("  stop it      mask-engine label-studio down")


@app.command()
def status(
    *,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether it runs, and where."""
    require_client()
    from engine.label_studio.home import Home
    from engine.label_studio.server import state_of

    place = Home.of(home)
    now = state_of(place)
    if as_json:
        result(json.dumps(asdict(now)))
        return
    result(f"{now.state}{f': {now.url} (process {now.pid})' if now.url else ''}")
    result(f"  folder  {place.folder}")


@app.command()
def down(*, home: HomeOption = None) -> None:
    """Stop it; its data stays."""
    require_client()
    from engine.label_studio.home import Home
    from engine.label_studio.server import stop

    result("stopped" if stop(Home.of(home)) else "it was not running")


@app.command(epilog=_CHECK_EPILOG)
def check(
    config: Annotated[
        str | None,
        typer.Argument(
            help="A configuration of `assist`, `semi` or `verify`; the local server if none."
        ),
    ] = None,
    *,
    settings: SetOption = None,
    url: UrlOption = None,
) -> None:
    """Walk the whole chain, name the first broken link and its cure.

    Server, token, project, storage, a photo through the server, click backend, its credentials,
    its set-up, and one real click.
    """
    require_client()
    from engine.assist.settings import ServerSettings
    from engine.commands.stage_runs import read_stage_run
    from engine.label_studio.check import walk

    run = read_stage_run(config, assignments(settings, url)) if config else None
    links = walk(run, ServerSettings(url=url))
    broken = False
    for link in links:
        took = f"({duration(link.seconds)})" if link.ok else ""
        for line in columns([("ok" if link.ok else "BROKEN", f"{link.name}: {link.says} {took}")]):
            result(line)
        if not link.ok:
            broken = True
            result(f"  what to do: {link.cure}")
    if broken:
        raise typer.Exit(1)
    result("every link holds")

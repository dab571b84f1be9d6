"""`mask-engine annotate`: people mask photos in a page of our own, and shards come out."""

from __future__ import annotations

import sys
import webbrowser
from typing import Annotated, Final

import typer

from engine.commands.options import OpenOption, SetOption
from engine.console import counted, note, result
from model.errors import ConfigurationError

EPILOG: Final = """[bold]Examples[/bold]

mask-engine annotate configs/annotate-examples.yaml

mask-engine annotate configs/annotate-examples.yaml --set annotators=2 --set 'names=[cat, dog]'

mask-engine annotate configs/annotate-verify.yaml --open

Work is saved while people work. Stopped with Ctrl-C, everything finished is in shards; killed, the
next start makes them."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("annotate", epilog=EPILOG)(annotate)


def annotate(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file of the run.")],
    *,
    settings: SetOption = None,
    open_browser: OpenOption = False,
) -> None:
    """Mask photos in the browser: from scratch, after a model, or judging what is there."""
    try:
        from engine.annotate.serving import serve_annotating
        from engine.annotate.settings import read_annotate_run
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the page needs {error.name}: pip install 'mask-engine[page]'"
        ) from None
    run = read_annotate_run(config, settings or ())

    def ready(address: str) -> None:
        result(address)
        sys.stdout.flush()  # whoever reads it through a pipe waits for it
        note("stop it with Ctrl-C; what is finished becomes shards then")
        if open_browser:
            webbrowser.open(address)

    summary = serve_annotating(run, told=note, ready=ready)
    if summary is not None:
        found = f"{counted(summary.images, 'photo')}, {counted(summary.masks, 'mask')}"
        result(f"{run.out}: {found}")

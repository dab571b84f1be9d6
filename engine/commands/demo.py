"""`mask-engine demo`: masks under the pointer, in a browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from engine.commands.options import OpenOption
from engine.console import byte_size, note, result
from model.errors import ConfigurationError

EPILOG: Final = """[bold]Examples[/bold]

mask-engine demo

mask-engine demo ~/photos --open

mask-engine demo ~/photos --checkpoint sam_vit_b --store runs/embeddings

mask-engine demo examples/photos --static site/

Photos dropped on the page never leave the browser. The printed address holds a token; other people
of this machine cannot use the page without it."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("demo", epilog=EPILOG)(demo)


def demo(
    photos: Annotated[
        str | None, typer.Argument(metavar="[PHOTOS]", help="Photos to offer on the page.")
    ] = None,
    *,
    checkpoint: Annotated[
        str, typer.Option(help="starter, a name (see `checkpoints list`) or a file.")
    ] = "starter",
    store: Annotated[
        str | None, typer.Option(help="Folder of embeddings (mask-engine embed), kept filled.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for a free one.")] = 8765,
    credentials: Annotated[
        str | None, typer.Option(help="File of user name and password; made on first start.")
    ] = None,
    static: Annotated[
        Path | None, typer.Option(help="Write the page into this folder instead of serving it.")
    ] = None,
    open_browser: OpenOption = False,
) -> None:
    """Masks under the pointer, in a browser: point, click, cut out, download."""
    try:
        from engine.page.serving import serve_demo, write_demo
        from engine.page.settings import PageSettings
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the page needs {error.name}: pip install 'mask-engine[page]'"
        ) from None
    settings = PageSettings(
        checkpoint=checkpoint, store=store, host=host, port=port, credentials=credentials
    )
    if static is not None:
        written = write_demo(settings, photos, static, told=note)
        result(f"{static}: {byte_size(written)}; serve it with any web server")
        return

    def ready(address: str) -> None:
        result(address)
        sys.stdout.flush()  # whoever reads it through a pipe waits for it
        note("stop it with Ctrl-C")
        if open_browser:
            webbrowser.open(address)

    serve_demo(settings, photos, told=note, ready=ready)

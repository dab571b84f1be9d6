"""Options that several commands have: declared once, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

ConfigArgument = Annotated[str, typer.Argument(help="YAML file of settings.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        help="A Label Studio that is not the local one; its token is read from "
        "LABEL_STUDIO_API_KEY. Wins over server.url."
    ),
]
EveryOption = Annotated[
    float | None,
    typer.Option(min=1, help="Look again when somebody submits, or after so many seconds."),
]
OpenOption = Annotated[bool, typer.Option("--open", help="Open it in a browser.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def assignments(settings: Sequence[str] | None, url: str | None) -> list[str]:
    """The `--set` pairs, with the server's address where one was given."""
    return [*(settings or ()), *([] if url is None else [f"server.url={url}"])]

"""`mask-engine serve`: the click backend, for Label Studio's smart tools."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from engine.console import note, result
from model.errors import ConfigurationError

EPILOG: Final = """[bold]Examples[/bold]

mask-engine serve ~/photos --store runs/embeddings

mask-engine serve s3://bucket/photos --store runs/embeddings --checkpoint sam_vit_b

mask-engine serve --config configs/serve.yaml --port 9191

In Label Studio, add it as a model: its address, basic auth, interactive. User name and password
are in the file that is named when it starts, or in MASK_ENGINE_BACKEND_USER and
MASK_ENGINE_BACKEND_PASSWORD."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("serve", epilog=EPILOG)(serve)


def serve(
    source: Annotated[
        str | None,
        typer.Argument(metavar="PHOTOS", help="The project's photos; no others are ever read."),
    ] = None,
    *,
    store: Annotated[
        str | None, typer.Option(help="Folder of embeddings (mask-engine embed), kept filled.")
    ] = None,
    clicks: Annotated[
        str | None, typer.Option("--clicks", help="Folder of the log of prompts. \\[clicks]")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="starter, a name (see `checkpoints list`) or a file. \\[starter]"),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="One more place whose photos may be read; may be repeated."),
    ] = None,
    source_name: Annotated[
        str | None, typer.Option(help="Name of the source, part of ids. \\[last part of PHOTOS]")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at. \\[127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 for a free one. \\[9090]")] = None,
    credentials: Annotated[
        str | None, typer.Option(help="File of user name and password; made on first start.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the model. \\[the cores]")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps. \\[cpu]")] = None,
    config: Annotated[
        str | None, typer.Option(help="YAML file of settings; flags win over it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
    ] = None,
) -> None:
    """Answer clicks with masks: a model backend for Label Studio.

    Listens on this machine only and wants a password, unless it is told otherwise.
    """
    from engine.configuration import build, parse_assignments, read_yaml

    try:
        from engine.backend.server import build_backend, listen
        from engine.backend.server import serve as serve_until_stopped
        from engine.backend.settings import BackendSettings
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the click backend needs {error.name}: pip install 'mask-engine[serve]'"
        ) from None
    flags = {
        "source": source,
        "source_name": source_name,
        "allow": tuple(allow) if allow else None,
        "checkpoint": checkpoint,
        "store": store,
        "click_log": clicks,
        "host": host,
        "port": port,
        "credentials": credentials,
        "threads": threads,
        "device": device,
    }
    layers = [
        read_yaml(config) if config else {},
        parse_assignments(settings or []),
        {name: value for name, value in flags.items() if value is not None},
    ]
    chosen = build(BackendSettings, layers, origin=config or "mask-engine serve")
    with listen(chosen) as listening:
        note("loading the model; the address comes when it can be asked")
        backend = build_backend(chosen)
        address, bound_port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        result(f"http://{shown}:{bound_port}")
        sys.stdout.flush()  # whoever reads it through a pipe waits for it
        note(f"model {backend.model_id}, {backend.photos:,} photos")
        note(f"user {backend.credentials.user!r}, password in {backend.credentials.origin}")
        if not chosen.is_loopback:
            note(
                f"{chosen.host} can be reached from other machines, and what is sent is not "
                "encrypted: put a TLS proxy in front of it"
            )
        note("stop it with Ctrl-C")
        serve_until_stopped(backend, listening)

"""`mask-engine export-onnx`: a checkpoint as graphs for browsers and other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from engine.console import byte_size, columns, note, result
from model.errors import ConfigurationError

EPILOG: Final = """[bold]Examples[/bold]

mask-engine export-onnx --out onnx/

mask-engine export-onnx --checkpoint sam_vit_b --out onnx-b/

encoder.onnx, image.onnx and prompt.onnx are what the page of `mask-engine demo` uses, *.half.onnx
the same with 16-bit weights; decoder.onnx has the inputs and outputs of the public Segment Anything
export."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("export-onnx", epilog=EPILOG)(export_onnx)


def export_onnx(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the graphs.")],
    checkpoint: Annotated[
        str, typer.Option(help="starter, a name (see `checkpoints list`) or a file.")
    ] = "starter",
) -> None:
    """Write a checkpoint as ONNX graphs."""
    try:
        from model.onnx.export import export_model
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"export-onnx needs {error.name}: pip install 'mask-engine[onnx]'"
        ) from None
    from model.checkpoints import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    note(f"exporting {loaded.architecture} {loaded.model_id}; this takes a minute")
    exported = export_model(loaded, out)
    rows = [(file.name, byte_size(file.bytes)) for file in exported.files.values()]
    for line in columns(rows, indent=0):
        result(line)

"""`mask-engine embed`: embeddings made ahead, so that clicks are answered at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.console import columns, duration, progress, result

if TYPE_CHECKING:
    from pipelines.embed import EmbedSummary

EPILOG: Final = """[bold]Examples[/bold]

mask-engine embed ~/photos --out runs/embeddings

mask-engine embed s3://bucket/photos --out runs/embeddings --checkpoint sam_vit_b

Kill it whenever you like: the same command goes on where it stopped. Another checkpoint makes
embeddings of its own beside the old ones."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("embed", epilog=EPILOG)(embed)


def embed(
    source: Annotated[
        str, typer.Argument(help="Photos: a folder, a glob in quotes, a .txt, or a URL.")
    ],
    *,
    out: Annotated[str, typer.Option("--out", "-o", help="The store: a folder or a URL.")],
    checkpoint: Annotated[
        str, typer.Option(help="starter, a name (see `checkpoints list`) or a file.")
    ] = "starter",
    source_name: Annotated[
        str | None, typer.Option(help="Name of the source, part of ids. \\[last part of SOURCE]")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the model. \\[the cores]")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
) -> None:
    """Run the image encoder over a queue of photos before people click on them."""
    from engine.configuration import build
    from pipelines.workers import without_import_noise

    with without_import_noise():
        from pipelines.embed import EmbedRun, run_embed
    flags = {
        "source": source,
        "out": out,
        "checkpoint": checkpoint,
        "source_name": source_name,
        "threads": threads,
        "device": device,
    }
    run = build(EmbedRun, [flags], origin="mask-engine embed")
    with progress("embeddings", "photos") as meter:
        summary = run_embed(run, progress=meter)
    for line in summary_lines(summary):
        result(line)


def summary_lines(summary: EmbedSummary) -> list[str]:
    """A short table of what a run gave and cost."""
    failed = sum(summary.failures.values())
    lines = columns(
        [
            ("photos", f"{summary.photos:,}"),
            ("there before", f"{summary.there_before:,}"),
            ("embedded", f"{summary.embedded:,}"),
            ("failed", f"{failed:,}"),
            ("time", duration(summary.seconds)),
            ("model", summary.model_id),
        ],
        indent=0,
    )
    if failed:
        lines += ["", "failures"]
        lines += columns((kind, f"{count:,}") for kind, count in sorted(summary.failures.items()))
        lines += columns((photo.path, photo.message) for photo in summary.failed)
    return lines

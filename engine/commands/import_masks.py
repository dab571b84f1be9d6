"""`mask-engine import`: masks of other programs as a run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from engine.console import columns, progress, result

EPILOG: Final = """[bold]Examples[/bold]

mask-engine import sa1b/sa_000000 --format sa1b --out runs/sa1b

mask-engine import coco/annotations.json --format coco --photos coco/images --out runs/coco"""


class Format(StrEnum):
    """Formats by their names on the command line."""

    SA1B = "sa1b"
    COCO = "coco"


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("import", epilog=EPILOG)(import_masks)


def import_masks(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A folder of annotations, or COCO's JSON file.")
    ],
    *,
    import_format: Annotated[Format, typer.Option("--format", "-f", help="What it holds.")],
    out: Annotated[str, typer.Option("--out", "-o", help="The new run's folder.")],
    photos: Annotated[
        str | None, typer.Option(help="Where the photos are, if not beside the annotations.")
    ] = None,
    source_name: Annotated[
        str | None, typer.Option(help="Name of the source, part of ids. \\[FOLDER's last part]")
    ] = None,
    embed_images: Annotated[
        bool, typer.Option("--embed-images", help="Keep the photos in the shards.")
    ] = False,
) -> None:
    """Make a run of masks that somebody else made.

    A photo that is missing, or has another size than its annotations say, becomes a row with
    that error; a mask that cannot be used is dropped and counted by its reason.
    """
    from engine.imports.work import ImportSettings, import_folder

    settings = ImportSettings(
        annotations=folder,
        out=out,
        photos=photos,
        source_name=source_name,
        embed_images=embed_images,
    )
    with progress("importing", "photos") as meter:
        summary = import_folder(import_format.value, settings, meter=meter)
    pairs = [
        ("photos", f"{summary.images:,}"),
        ("masks", f"{summary.masks:,}"),
        ("failed", f"{summary.failed:,}"),
    ]
    for line in columns(pairs, indent=0):
        result(line)
    for title, counts in (("failures", summary.failures), ("dropped", summary.dropped)):
        if counts:
            result(f"\n{title}")
            for line in columns((name, f"{count:,}") for name, count in sorted(counts.items())):
                result(line)
    result(f"\nLook at it:  mask-engine report {out}")

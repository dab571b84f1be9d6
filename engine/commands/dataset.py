"""`mask-engine dataset`: the final data set, what differs between two, and single photos out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Final

import typer

from engine.console import columns, result

_BUILD_EPILOG: Final = """[bold]Examples[/bold]

mask-engine dataset build configs/dataset-demo.yaml --out data-sets/one

mask-engine dataset build configs/dataset-demo.yaml --out data-sets/one --set 'rounds=[1, 2]'

mask-engine dataset build configs/dataset-demo.yaml --out data-sets/one \\
  --set engine_settings.out=runs/mine --set engine_settings.data_root=data"""
_DIFF_EPILOG: Final = """[bold]Examples[/bold]

mask-engine dataset diff data-sets/one data-sets/two

mask-engine dataset diff data-sets/one data-sets/two --json"""
_REMOVE_EPILOG: Final = """[bold]Examples[/bold]

mask-engine dataset remove --image-id 0a1b... data-sets/one coco/ --reason "asked to"

mask-engine dataset remove --image-id 0a1b... runs/engine-demo"""

app = typer.Typer(no_args_is_help=True, help="Finished data sets: build, compare, take out.")

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
]


@app.command(epilog=_BUILD_EPILOG)
def build(
    config: Annotated[str, typer.Argument(help="YAML file: engine, rounds, name, licence.")],
    *,
    out: Annotated[str, typer.Option("--out", "-o", help="The data set's folder.")],
    settings: SetOption = None,
) -> None:
    """Join chosen rounds into shards, with statistics, cards and checksums."""
    from engine.datasets.build import build_dataset
    from engine.datasets.settings import read_dataset_settings

    numbers = build_dataset(read_dataset_settings(config, settings or ()), out)
    rows = [
        (name.replace("_", " "), f"{value:,}")
        for name, value in numbers.items()
        if isinstance(value, int | float)
    ]
    for line in columns(rows, indent=0):
        result(line)
    result(f"\nRead this first:  {out.rstrip('/')}/README.md")


@app.command(epilog=_DIFF_EPILOG)
def diff(
    first: Annotated[str, typer.Argument(help="A data set or run.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say which photos and masks are in one and not in the other."""
    from engine.datasets.compare import difference

    found = difference(first, second)
    if as_json:
        result(json.dumps(asdict(found)))
        return
    rows = [
        ("photos added", f"{len(found.photos_added):,}"),
        ("photos removed", f"{len(found.photos_removed):,}"),
        ("photos with other masks", f"{len(found.photos_changed):,}"),
        ("masks added", f"{found.masks_added:,}"),
        ("masks removed", f"{found.masks_removed:,}"),
    ]
    for line in columns(rows, indent=0):
        result(line)


@app.command()
def check(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A data set's folder.")],
) -> None:
    """Say whether every file is as it was when the data set was built.

    Example: mask-engine dataset check data-sets/one
    """
    from engine.datasets.checksums import CHECKSUMS_FILE, wrong_files
    from model.errors import ConfigurationError, StopError
    from pipelines.storage import Folder

    try:
        wrong = wrong_files(Folder(folder))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{folder}: no {CHECKSUMS_FILE}, so it is no data set. Give the folder that "
            "`mask-engine dataset build --out` wrote."
        ) from None
    if wrong:
        raise StopError(
            f"{folder}: {len(wrong)} files are gone or changed, such as {', '.join(wrong[:3])}. "
            "Build the data set again, or get these files again."
        )
    result("every file is as it was")


@app.command(epilog=_REMOVE_EPILOG)
def remove(
    places: Annotated[
        list[str],
        typer.Argument(help="Data sets, runs, exports, or an engine's folder with all its runs."),
    ],
    *,
    image_id: Annotated[str, typer.Option("--image-id", help="The photo's id.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
) -> None:
    """Take a photo and its masks out of every shard and export, for good, and record it.

    An engine does not take it up again. What may still hold it and cannot be reached is named.
    """
    from engine.datasets.remove import remove_photo
    from engine.datasets.unreached import ALWAYS_UNREACHED

    removed = remove_photo(image_id, places, reason=reason)
    for line in columns([(one.place, one.kind, f"{one.masks:,} masks") for one in removed]):
        result(line)
    unreached = [what for one in removed for what in one.unreached]
    result("\nNot reached, and may still hold it:")
    for what in (*unreached, ALWAYS_UNREACHED):
        result(f"  {what}")

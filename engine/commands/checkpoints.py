"""`mask-engine checkpoints`: which there are, what one says of itself, averages, fetching one."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from engine.console import byte_size, columns, progress, result

_LIST_EPILOG: Final = "[bold]Example[/bold]\n\nmask-engine checkpoints list"
_INFO_EPILOG: Final = """[bold]Examples[/bold]

mask-engine checkpoints info starter

mask-engine checkpoints info runs/training/best.safetensors --json"""
_DESCRIBE_EPILOG: Final = """[bold]Example[/bold]

mask-engine checkpoints describe mine.safetensors --text docs/starter-card.yaml --run
configs/train-mine.yaml=runs/mine --evaluation "everyday photos=coco.json"

What is given takes the place of what the card says; runs come after those in the file. The weights
stay, and so does the model's id."""
_AVERAGE_EPILOG: Final = """[bold]Example[/bold]

mask-engine checkpoints average mine.safetensors=0.6 starter=0.4 --out mixed.safetensors

Only checkpoints that come from one another are worth averaging, as a fine-tuned one and what it
began from: the mean often knows more than either. Evaluate it before you use it."""
_FETCH_EPILOG: Final = "[bold]Example[/bold]\n\nmask-engine checkpoints fetch sam_vit_b"

app = typer.Typer(no_args_is_help=True, help="List, show, describe, average or fetch checkpoints.")


@app.command("list", epilog=_LIST_EPILOG)
def list_checkpoints() -> None:
    """List the checkpoints that have a name, and whether they are on this machine."""
    from model.checkpoint_names import named_checkpoints

    rows = [("name", "size", "where")]
    for known in named_checkpoints():
        size = byte_size(known.size_bytes) if known.size_bytes else ""
        if known.available:
            where = str(known.path)
        elif known.size_bytes:
            where = f"not here: mask-engine checkpoints fetch {known.name}"
        else:
            where = "missing from this installation"
        rows.append((known.name, size, where))
    for line in columns(rows, indent=0):
        result(line)


@app.command(epilog=_INFO_EPILOG)
def info(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A name, or a file.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a checkpoint is: its card, with data, licences, recipe, results, limits."""
    from engine.checkpoint_cards.lines import card_fields, card_lines
    from model.checkpoints import read_card

    card = read_card(checkpoint)
    for line in [json.dumps(card_fields(card))] if as_json else card_lines(card):
        result(line)


@app.command(epilog=_DESCRIBE_EPILOG)
def describe(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A file, or starter.")],
    text: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="YAML: data, recipe, limits, thresholds, notes."),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(metavar="CONFIG=FOLDER", help="A training run of its chain; repeat."),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="What `evaluate --json` wrote; repeat."),
    ] = None,
) -> None:
    """Fill a checkpoint's card: data and licences, recipe, hours, results, limits."""
    from engine.checkpoint_cards.filling import fill_card
    from engine.checkpoint_cards.lines import card_lines

    for line in card_lines(fill_card(checkpoint, text, run or [], evaluation or [])):
        result(line)


@app.command(epilog=_AVERAGE_EPILOG)
def average(
    checkpoints: Annotated[
        list[str],
        typer.Argument(metavar="CHECKPOINT=SHARE...", help="Names or files, and what each counts."),
    ],
    out: Annotated[str, typer.Option(metavar="FILE", help="A new .safetensors file.")],
) -> None:
    """Average the weights of checkpoints that come from one another."""
    from engine.checkpoint_cards.lines import card_lines
    from engine.checkpoint_cards.shares import read_shares
    from model.checkpoint_average import average_checkpoints

    for line in card_lines(average_checkpoints(read_shares(checkpoints), out)):
        result(line)


@app.command(epilog=_FETCH_EPILOG)
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="sam_vit_b, sam_vit_l or sam_vit_h.")],
) -> None:
    """Fetch an official checkpoint from its publisher, and check its checksum."""
    from model.official import fetch_checkpoint

    with progress(f"fetching {name}", "MB") as meter:
        path = fetch_checkpoint(
            name, lambda done, total: meter(done // 1_000_000, total // 1_000_000)
        )
    result(str(path))

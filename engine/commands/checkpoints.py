"""`mask-engine checkpoints`: which there are, what one says about itself, fetching one."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from engine.console import byte_size, columns, progress, result

_LIST_EPILOG: Final = "[bold]Example[/bold]\n\nmask-engine checkpoints list"
_INFO_EPILOG: Final = """[bold]Examples[/bold]

mask-engine checkpoints info starter

mask-engine checkpoints info runs/training/best.safetensors --json"""
_FETCH_EPILOG: Final = "[bold]Example[/bold]\n\nmask-engine checkpoints fetch sam_vit_b"

app = typer.Typer(no_args_is_help=True, help="List, describe or fetch checkpoints.")


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
    """Say what a checkpoint is: architecture, id, data, measured results, thresholds."""
    from model.checkpoints import read_card

    card = read_card(checkpoint)
    thresholds = card.thresholds
    fields: dict[str, object] = {
        "architecture": card.architecture,
        "model_id": card.model_id,
        "parent": card.parent,
        "data": list(card.data),
        "min_predicted_iou": thresholds and thresholds.predicted_iou,
        "min_stability": thresholds and thresholds.stability,
        "metrics": dict(card.metrics),
        "notes": card.notes,
    }
    if as_json:
        result(json.dumps(fields))
        return
    for name, value in fields.items():
        for line in _described(name, value):
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


def _described(name: str, value: object) -> list[str]:
    label = name.replace("_", " ").ljust(18)
    if isinstance(value, dict):
        if not value:
            return [f"{label}none"]
        return [label.rstrip(), *columns((k, f"{v:.4g}") for k, v in value.items())]
    if isinstance(value, list):
        return [f"{label}{', '.join(value) or 'not told'}"]
    return [f"{label}{'none' if value in (None, '') else value}"]

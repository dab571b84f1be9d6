"""`mask-engine train-detector`: the boxes that the semi-automatic stage begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.commands.options import SetOption
from engine.console import columns, duration, note, progress, result

if TYPE_CHECKING:
    from engine.detection.train import Measured

EPILOG: Final = """[bold]Examples[/bold]

mask-engine train-detector configs/detector-examples.yaml

mask-engine train-detector configs/detector-examples.yaml --set schedule.steps=3000

Kill it whenever you like: the same command goes on where it stopped."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("train-detector", epilog=EPILOG)(train_detector)


def train_detector(
    config: Annotated[str, typer.Argument(help="YAML file: sources, out, schedule.")],
    *,
    settings: SetOption = None,
) -> None:
    """Train a one-class object detector on the masks of earlier rounds."""
    from engine.configuration import build, parse_assignments, read_yaml
    from engine.detection.settings import DetectorRun
    from engine.detection.train import train_detector as train

    run = build(DetectorRun, [read_yaml(config), parse_assignments(settings or [])], origin=config)
    with progress("detector", "photos or steps") as meter:
        done = train(run, told=lambda step, so_far, total: meter(so_far, total, step))
    rows = [
        ("detector", str(done.path)),
        ("detector_id", done.detector_id),
        ("for the model", done.model_id),
        ("photos", f"{done.photos:,}"),
        *((f"on {m.name}", _quality(m)) for m in done.measured),
        ("time", duration(done.seconds)),
    ]
    for line in columns(rows, indent=0):
        result(line)
    note(f"Use it:  mask-engine semi send CONFIG --set detector={done.path}")


def _quality(measured: Measured) -> str:
    return (
        f"recall {measured.recall:.3f} (100 boxes), average precision "
        f"{measured.average_precision:.3f}, {measured.photos:,} photos"
    )

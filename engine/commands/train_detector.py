"""`mask-engine train-detector`: the boxes that the semi-automatic stage begins with."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from engine.console import columns, duration, note, progress, result

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
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
    ] = None,
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
        ("held out", f"{done.held_out:,}"),
        ("time", duration(done.seconds)),
    ]
    if done.recall is not None and done.average_precision is not None:
        rows.insert(5, ("recall, 100 boxes", f"{done.recall:.3f}"))
        rows.insert(6, ("average precision", f"{done.average_precision:.3f}"))
    for line in columns(rows, indent=0):
        result(line)
    note(f"Use it:  mask-engine semi send CONFIG --set detector={done.path}")

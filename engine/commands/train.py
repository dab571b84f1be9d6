"""`mask-engine train`: one training run, from a YAML file to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

EPILOG: Final = """[bold]Examples[/bold]

mask-engine train configs/train-smoke.yaml --out runs/smoke

mask-engine train configs/train-starter-1.yaml --out runs/starter-1 --set data.images_per_step=8

torchrun --nproc-per-node 2 -m engine.cli train configs/train-starter-1.yaml --out runs/starter-1

Kill it whenever you like: the same command goes on where it stopped."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("train", epilog=EPILOG)(train)


def train(
    config: Annotated[Path, typer.Argument(help="YAML file: data, network, loop.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
    ] = None,
) -> None:
    """Train a promptable model by simulated clicks, or fine-tune one."""
    from engine.configuration import build, parse_assignments, read_yaml
    from engine.console import columns, duration, result
    from engine.training.parameters import TrainingConfiguration
    from engine.training.run import train_run

    layers = [read_yaml(str(config)), parse_assignments(settings or [])]
    configuration = build(TrainingConfiguration, layers, origin=str(config))
    done = train_run(configuration, out)
    rows = [
        ("checkpoint", str(done.checkpoint)),
        ("model_id", done.model_id),
        ("steps", str(done.steps)),
        ("time", duration(done.seconds)),
    ]
    for line in columns(rows, indent=0):
        result(line)

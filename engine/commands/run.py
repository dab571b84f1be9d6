"""`mask-engine run` and `mask-engine rollback`: the whole engine, round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.console import columns, note, result

if TYPE_CHECKING:
    from engine.rounds.settings import EngineSettings

_RUN_EPILOG: Final = """[bold]Examples[/bold]

mask-engine run configs/engine-demo.yaml --dry-run

mask-engine run configs/engine-demo.yaml

mask-engine run configs/experiments/rounds.yaml --set data_root=~/data --set out=runs/rounds

Kill it whenever you like: the same command goes on where it stopped. Where it waits for people it
says so and ends; run it again when they have finished."""
_ROLLBACK_EPILOG: Final = """[bold]Examples[/bold]

mask-engine rollback 3 configs/engine-demo.yaml

mask-engine rollback 3 runs/engine-demo

mask-engine rollback 3 runs/engine-demo --from build     # what people did in it stands"""

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command("run", epilog=_RUN_EPILOG)(run)
    app.command("rollback", epilog=_ROLLBACK_EPILOG)(rollback)


def run(
    config: Annotated[str, typer.Argument(help="YAML file: pool, people, rounds, gate.")],
    *,
    settings: SetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the plan and what is done of it.")
    ] = False,
) -> None:
    """Run the engine: stage, collect, retrain, evaluate, promote or keep, next round."""
    from engine.rounds.settings import read_engine

    engine = read_engine(config, settings or ())
    if dry_run:
        _tell_plan(engine)
        return
    from engine.rounds.run import run_engine
    from engine.rounds.status import status_lines

    stopped = run_engine(engine)
    for line in status_lines(stopped.ledger, engine):
        result(line)
    if stopped.waiting is not None:
        note(f"\n{stopped.waiting}")


def rollback(
    number: Annotated[
        int, typer.Argument(metavar="ROUND", min=0, help="This round and all later ones.")
    ],
    where: Annotated[
        str, typer.Argument(metavar="WHERE", help="The engine's configuration, or its folder.")
    ],
    *,
    step: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="STEP", help="Of the round, only this step and those behind it."
        ),
    ] = None,
    settings: SetOption = None,
) -> None:
    """Make a round and all later ones void, so that the next run makes them again.

    The model in use is then the one from before that round. Nothing is deleted: the ledger keeps
    what was, and the rounds' folders stay.
    """
    from engine.rounds.ledger import open_ledger
    from engine.rounds.status import engine_folder
    from engine.rounds.steps import steps_from
    from pipelines.lock import folder_lock

    address = engine_folder(where, settings or ())
    steps = () if step is None else steps_from(number, step)
    ledger = open_ledger(address)
    with folder_lock(ledger.folder):
        ledger = open_ledger(address).rolled_back(number, steps)
    in_use = ledger.last("promote")
    rows = [
        ("void from round", str(number) if step is None else f"{number}, {step}"),
        ("model in use", (in_use and in_use.model_id) or "none yet"),
    ]
    for line in columns(rows, indent=0):
        result(line)


def _tell_plan(engine: EngineSettings) -> None:
    from engine.rounds.status import plan_lines

    for line in plan_lines(engine):
        result(line)

"""`mask-engine simulate`: an annotator made of known masks, for experiments without people."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.commands.extras import require_client
from engine.commands.options import ConfigArgument, SetOption
from engine.console import columns, note, progress, result
from model.errors import ConfigurationError

if TYPE_CHECKING:
    from engine.simulation.run import SimulatedRun, View
    from pipelines.automatic import Progress

EPILOG: Final = """[bold]Examples[/bold]

mask-engine simulate configs/simulate.yaml --truth truth.json --direct

mask-engine simulate configs/simulate.yaml --truth truth.json --backend http://127.0.0.1:9090

mask-engine simulate configs/assist-examples.yaml --truth truth.json --label-studio

The configuration names source (a folder of photos) and out (the run); with --label-studio it is
the one of `assist` or `semi` that was sent, and `collect` brings what was drawn. User name and
password of a backend come from MASK_ENGINE_BACKEND_USER and MASK_ENGINE_BACKEND_PASSWORD, or from
the file that `mask-engine serve` made."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("simulate", epilog=EPILOG)(simulate)


def simulate(
    config: ConfigArgument,
    *,
    truth: Annotated[Path, typer.Option(help="COCO file of the known masks.")],
    direct: Annotated[
        bool, typer.Option("--direct", help="Ask the model here, without any service.")
    ] = False,
    backend: Annotated[
        str | None, typer.Option(help="Ask a click backend (mask-engine serve): its address.")
    ] = None,
    label_studio: Annotated[
        bool,
        typer.Option("--label-studio", help="Do the tasks that CONFIG sent, as a browser would."),
    ] = False,
    credentials: Annotated[
        Path | None, typer.Option(help="The backend's file of user name and password.")
    ] = None,
    settings: SetOption = None,
) -> None:
    """Click on objects that are known already, and keep the masks that come out well.

    Writes a run like people's, whose masks say that they were simulated.
    """
    if [direct, backend is not None, label_studio].count(True) != 1:
        raise ConfigurationError(
            "say who answers: --direct for the model here, --backend and its address, or "
            "--label-studio for the tasks there"
        )
    if credentials is not None and backend is None:
        raise ConfigurationError(
            "--credentials opens the backend that --backend names; nothing else asks for it here. "
            + ("Leave it out." if direct else "With --label-studio, the server knows the password.")
        )
    if label_studio:
        _at_label_studio(config, truth, settings or [])
        return
    from engine.configuration import build, parse_assignments, read_yaml
    from engine.simulation.run import SimulatedRun, run_simulation

    run = build(SimulatedRun, [read_yaml(config), parse_assignments(settings or [])], origin=config)
    with _view(run, backend, credentials) as view, progress("simulated", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        summary = run_simulation(run, truth, view, progress=tell)
    pairs = [
        ("photos", f"{summary.images:,}"),
        ("objects", f"{summary.proposals:,}"),
        ("accepted", f"{summary.masks:,}"),
        *((reason.replace("_", " "), f"{count:,}") for reason, count in summary.dropped.items()),
        ("failed photos", f"{summary.failed:,}"),
    ]
    for line in columns(pairs, indent=0):
        result(line)
    note(f"Look at it:  mask-engine report {run.out}")


def _at_label_studio(config: str, truth: Path, settings: list[str]) -> None:
    require_client()
    from engine.assist.connection import connected
    from engine.commands.stage_runs import read_stage_run
    from engine.configuration import build, parse_assignments
    from engine.simulation.annotator import AnnotatorParameters
    from engine.simulation.studio import annotate_tasks

    own = [pair.removeprefix("annotator.") for pair in settings if pair.startswith("annotator.")]
    run = read_stage_run(config, [pair for pair in settings if not pair.startswith("annotator.")])
    if run.command == "verify":
        raise ConfigurationError(
            f"{config}: is of the verify step, and a simulated annotator gives no verdicts on "
            "single masks: give a configuration of `assist` or `semi`"
        )
    parameters = build(AnnotatorParameters, [parse_assignments(own)], origin="annotator")
    with connected(run.server) as connection, progress("simulated", "tasks") as meter:
        worked = annotate_tasks(
            run, truth, parameters, connection, told=lambda done, total: meter(done, total)
        )
    pairs = [
        ("tasks", f"{worked.tasks:,}"),
        ("accepted", f"{worked.accepted:,}"),
        ("given up", f"{worked.given_up:,}"),
        ("clicks", f"{worked.clicks:,}"),
        *([("failed tasks", f"{worked.failed:,}")] if worked.failed else []),
    ]
    for line in columns(pairs, indent=0):
        result(line)
    for problem in worked.problems:
        result(f"not done: {problem}")
    note(f"Bring them here:  mask-engine {run.command} collect {config}")
    if worked.failed:
        note(f"Find out why:     mask-engine label-studio check {config}")
        raise typer.Exit(1)


def _view(
    run: SimulatedRun, backend: str | None, credentials: Path | None
) -> AbstractContextManager[View]:
    from engine.simulation.answers import BackendAnswers, DirectAnswers

    if backend is not None:
        from engine.backend.credentials import load_credentials

        return BackendAnswers(backend, load_credentials(credentials))
    from pipelines.manifest import usable_cores
    from pipelines.promised_model import CheckpointSegmenter

    threads = run.threads or usable_cores()
    segmenter = CheckpointSegmenter(run.checkpoint, run.device, threads)()
    return nullcontext(DirectAnswers(segmenter))

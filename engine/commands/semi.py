"""`mask-engine semi`: confident masks prefill tasks, people add the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from engine.commands.extras import require_client
from engine.commands.options import (
    ConfigArgument,
    EveryOption,
    JsonOption,
    SetOption,
    UrlOption,
    assignments,
)
from engine.commands.people import collected_lines, repeat, tell_sent, tell_status
from engine.console import columns, progress, result

if TYPE_CHECKING:
    from engine.semi.settings import SemiRun
    from pipelines.progress import Progress

_SEND_EPILOG: Final = """[bold]Examples[/bold]

mask-engine train-detector configs/detector-examples.yaml

mask-engine semi send configs/semi-examples.yaml

Send again whenever you like: what is there is not made or sent twice."""
_COLLECT_EPILOG: Final = """[bold]Examples[/bold]

mask-engine semi collect configs/semi-examples.yaml

mask-engine semi collect configs/semi-examples.yaml --every 60"""

app = typer.Typer(
    no_args_is_help=True, help="A detector and the model begin each photo, people finish it."
)


@app.command(epilog=_SEND_EPILOG)
def send(config: ConfigArgument, *, settings: SetOption = None, url: UrlOption = None) -> None:
    """Find confident masks, and give people a task for each photo that begins with them."""
    require_client()
    from engine.semi.settings import read_semi_run
    from engine.semi.stage import send as send_photos

    run = read_semi_run(config, assignments(settings, url))
    with progress("semi-automatic", "photos") as meter:

        def proposing(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks found")

        sent = send_photos(
            run, proposing=proposing, told=lambda done, total: meter(done, total, "sending")
        )
    tell_sent(sent, f"mask-engine semi collect {config}")
    result(f"They begin with: {sent.proposed:,} masks (mask-engine report {run.proposals})")
    if not sent.proposed:
        result("The detector found nothing: lower parameters.min_box_score, or train it on more.")


@app.command(epilog=_COLLECT_EPILOG)
def collect(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    url: UrlOption = None,
    every: EveryOption = None,
) -> None:
    """Bring what people left, moved, deleted and added into shards and reviews."""
    require_client()
    from engine.semi.settings import read_semi_run

    run = read_semi_run(config, assignments(settings, url))
    repeat(lambda: _collect_once(run), every, run.bell)


@app.command()
def status(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far the people are, and what was collected."""
    require_client()
    from engine.semi.settings import read_semi_run
    from engine.semi.stage import status as ask

    now = ask(read_semi_run(config, assignments(settings, url)))
    tell_status(now, f"mask-engine semi send {config}", as_json=as_json)


def _collect_once(run: SemiRun) -> None:
    from engine.assist.collecting import sent_run
    from engine.assist.connection import connected
    from engine.assist.progress import harvest
    from engine.semi.stage import collect as collect_answers
    from pipelines.reviews import read_reviews
    from pipelines.storage import Folder

    with progress("collecting", "tasks") as meter:
        found = collect_answers(run, told=lambda done, total: meter(done, total))
        with connected(run.server) as connection:
            counted = harvest(run, sent_run(run, connection.studio)[0])
    for line in collected_lines(found, counted):
        result(line)
    verdicts = [review.verdict for review in read_reviews(Folder(run.out))]
    rows = [
        ("found before, left alone", f"{verdicts.count('accept'):,}"),
        ("found before, corrected", f"{verdicts.count('fix'):,}"),
        ("found before, deleted", f"{verdicts.count('reject'):,}"),
    ]
    for line in ["", *columns(rows, indent=0)]:
        result(line)
    if counted.photos:
        result(f"\nLook at it:  mask-engine report {run.out}")

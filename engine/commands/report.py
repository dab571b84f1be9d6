"""`mask-engine report`: one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from engine.console import counted, progress, result
from model.errors import ConfigurationError

EPILOG: Final = """[bold]Examples[/bold]

mask-engine report runs/mine

mask-engine report runs/mine --photos 200 --out mine.html

mask-engine report runs/mine --png mine.png"""

DEFAULT_PHOTOS: Final = 48


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("report", epilog=EPILOG)(report)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder: a path or a URL.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page. \\[RUN/report.html]")
    ] = None,
    photos: Annotated[
        int, typer.Option(min=0, max=2000, help="How many photos to show, drawn fairly.")
    ] = DEFAULT_PHOTOS,
    png: Annotated[Path | None, typer.Option(help="Also write the gallery as one picture.")] = None,
) -> None:
    """Write a page that shows a run: gallery with filters, histograms, drops, failures.

    One HTML file that fetches nothing and can be sent to anybody. Of a run under way or
    unfinished, it shows what is there and says so.
    """
    page = out or default_page(run)
    from engine.report.build import write_report
    from stages.photos import PhotoLimits

    with progress("reading rows", "photos") as meter:
        tally = write_report(run, page, photos=photos, limits=PhotoLimits(), meter=meter, sheet=png)
    photos_and_masks = f"{counted(tally.images, 'photo')}, {counted(tally.masks, 'mask')}"
    result(f"{page}  ({photos_and_masks}, {tally.failed:,} failed)")
    if png is not None:
        result(str(png))


def default_page(run: str) -> Path:
    """Beside the shards, where the run is a local folder.

    Raises:
        ConfigurationError: if it is not.
    """
    if "://" in run:
        raise ConfigurationError(f"{run} is no local folder: say with --out where the page goes")
    return Path(run).expanduser() / "report.html"

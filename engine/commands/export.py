"""`mask-engine export`: a run's masks for other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from engine.console import counted, progress, result

if TYPE_CHECKING:
    from engine.exports.work import ExportCounts, ExportFormat

EPILOG: Final = """[bold]Examples[/bold]

mask-engine export runs/mine --format coco --out coco

mask-engine export runs/mine --format sa1b --out sa1b --with-photos

mask-engine export runs/mine --format png --out labels

mask-engine export runs/mine --format coco --out sure --min-predicted-iou 0.95 --masks leaves"""


class Format(StrEnum):
    """Formats by their names on the command line."""

    SA1B = "sa1b"
    COCO = "coco"
    PNG = "png"


class Masks(StrEnum):
    """Choices of masks by their names on the command line."""

    ALL = "all"
    LEAVES = "leaves"
    NO_OVERLAP = "no-overlap"


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("export", epilog=EPILOG)(export)


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder: a path or a URL.")],
    *,
    export_format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")],
    out: Annotated[str, typer.Option("--out", "-o", help="A new or empty folder.")],
    masks: Annotated[
        Masks | None,
        typer.Option(
            help="all; leaves: no other mask nested in them; no-overlap: the smallest on top. "
            "\\[all; for png no-overlap]"
        ),
    ] = None,
    min_predicted_iou: Annotated[
        float | None, typer.Option(help="Leave out masks with a lower score.")
    ] = None,
    min_stability: Annotated[
        float | None, typer.Option(help="Leave out masks with a lower score.")
    ] = None,
    min_area: Annotated[int, typer.Option(min=0, help="Leave out smaller masks, in pixels.")] = 0,
    with_photos: Annotated[
        bool, typer.Option("--with-photos", help="Also write the photos, upright, without EXIF.")
    ] = False,
) -> None:
    """Write a run's masks as SA-1B, COCO or PNG files.

    Photos and masks are numbered in the order of their ids; images.parquet and masks.parquet
    tell which number is which. What a format cannot hold is listed at the end and in export.json.
    """
    from engine.exports.choice import MaskChoice
    from engine.exports.work import export_run
    from stages.photos import PhotoLimits

    wanted = masks or (Masks.NO_OVERLAP if export_format is Format.PNG else Masks.ALL)
    choice = MaskChoice(
        masks=wanted.value,
        min_predicted_iou=min_predicted_iou,
        min_stability=min_stability,
        min_area_px=min_area,
    )
    writer = format_writer(export_format, wanted)
    with progress("writing", "photos") as meter:
        counts = export_run(
            run, out, writer, choice, with_photos=with_photos, limits=PhotoLimits(), meter=meter
        )
    for line in export_lines(out, writer, counts, finished=_is_finished(run)):
        result(line)


def format_writer(export_format: Format, masks: Masks) -> ExportFormat:
    """What writes a format; PNG comes in two kinds, by whether masks may overlap."""
    from engine.exports.coco import CocoFormat
    from engine.exports.png import BinaryMasksFormat, LabelMapFormat
    from engine.exports.sa1b import Sa1bFormat

    if export_format is Format.PNG:
        return LabelMapFormat() if masks is Masks.NO_OVERLAP else BinaryMasksFormat()
    return Sa1bFormat() if export_format is Format.SA1B else CocoFormat()


def export_lines(
    out: str, writer: ExportFormat, counts: ExportCounts, *, finished: bool
) -> list[str]:
    """What was written, and what was not."""
    lines = [f"{out}  ({counted(counts.images, 'photo')}, {counted(counts.masks, 'mask')})"]
    notes: list[tuple[Any, str]] = [
        (not finished, "The run is not finished: this is what it holds by now."),
        (counts.left_out, f"{counts.left_out:,} masks left out, as chosen."),
        (counts.failed_images, f"{counts.failed_images:,} photos had failed and have no masks."),
    ]
    lines += [text for applies, text in notes if applies]
    for kind, count in sorted(counts.photo_errors.items()):
        lines.append(f"{count:,} photos could not be written ({kind}); their masks are there.")
    lines += ["Not held by this format:", *(f"  {text}" for text in writer.not_held)]
    return lines


def _is_finished(run: str) -> bool:
    from pipelines.status import run_status

    return run_status(run).finished

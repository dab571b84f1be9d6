"""`mask-engine evaluate`: how good a checkpoint is, by simulated clicks against known masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from model.errors import ConfigurationError

EPILOG: Final = """[bold]Examples[/bold]

mask-engine evaluate --truth coco/val.json --max-masks 300

mask-engine evaluate --checkpoint sam_vit_b --truth val.json --images photos --clicks 1,5

mask-engine evaluate --truth val.json --baseline felzenszwalb,grabcut --json result.json

mask-engine evaluate --truth val.json --recall --pictures report/"""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("evaluate", epilog=EPILOG)(evaluate)


def evaluate(
    truth: Annotated[Path, typer.Option(help="COCO file of known masks.")],
    checkpoint: Annotated[
        str, typer.Option(help="starter, a name (see `checkpoints list`) or a file.")
    ] = "starter",
    images: Annotated[
        Path | None, typer.Option(help="Folder of the photos. [images/ beside the file]")
    ] = None,
    clicks: Annotated[str, typer.Option(help="Numbers of clicks to report.")] = "1,2,3,5,9",
    baseline: Annotated[
        str,
        typer.Option(help="Classical answers to compare with: felzenszwalb,grabcut,grabcut-wide."),
    ] = "",
    max_masks: Annotated[int | None, typer.Option(min=1, help="At most so many masks.")] = None,
    max_per_image: Annotated[
        int | None, typer.Option(min=1, help="At most so many masks of a photo.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of masks, and random clicks.")] = 0,
    noc: Annotated[
        bool, typer.Option("--noc/--no-noc", help="Click up to 20 times to count clicks needed.")
    ] = True,
    random_first: Annotated[
        bool, typer.Option("--random-first", help="First click anywhere on the mask.")
    ] = False,
    as_annotated: Annotated[
        bool,
        typer.Option(
            "--as-annotated",
            help="Answers as people get them: three masks for the first click, one after it.",
        ),
    ] = False,
    recall: Annotated[
        bool, typer.Option("--recall", help="Also AR@100 and AR@1000 of automatic masks.")
    ] = False,
    preset: Annotated[str, typer.Option(help="Of the automatic masks.")] = "default",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every figure to this file.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for plots and a contact sheet.")
    ] = None,
) -> None:
    """Measure a model by the field's protocol: clicks on known masks, as a person would."""
    from engine.console import result
    from engine.evaluation.outputs import as_json, table, write_json
    from engine.evaluation.run import Protocol, evaluate_photos
    from engine.evaluation.truth import choose_masks, read_truth
    from model.checkpoints import load_checkpoint
    from model.sam_segmenter import SamSegmenter
    from stages.presets import parameters_for

    loaded = load_checkpoint(checkpoint, device)
    advice = loaded.card.thresholds
    recommended = (
        {"predicted_iou": advice.predicted_iou, "stability": advice.stability} if advice else None
    )
    automatic = parameters_for(preset, {}, recommended)[0] if recall else None
    protocol = Protocol(
        clicks=_numbers(clicks),
        count_clicks=noc,
        random_first=random_first,
        as_annotated=as_annotated,
        baselines=tuple(name.strip() for name in baseline.split(",") if name.strip()),
        automatic=automatic,
        seed=seed,
    )
    photos = choose_masks(
        read_truth(truth, images), max_masks=max_masks, max_per_image=max_per_image, seed=seed
    )
    evaluation = evaluate_photos(SamSegmenter(loaded), photos, protocol)
    for line in table(evaluation):
        result(line)
    if json_file:
        about = {"checkpoint": checkpoint, "model_id": loaded.model_id, "truth": truth.name}
        write_json(json_file, as_json(evaluation, about))
    if pictures:
        from engine.evaluation.pictures import write_pictures

        write_pictures(evaluation, pictures)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1 or numbers[-1] > 20:
        raise ConfigurationError(
            f"--clicks {text!r}: expected numbers from 1 to 20 with commas, such as 1,3,5"
        )
    return numbers

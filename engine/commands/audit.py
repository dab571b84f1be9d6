"""`mask-engine audit` and `mask-engine calibrate`: how good masks are, and which to keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.console import columns, result
from model.errors import ConfigurationError

if TYPE_CHECKING:
    from engine.quality.pairs import Pair

_AUDIT_EPILOG: Final = """[bold]Examples[/bold]

mask-engine audit data-sets/one --sample audits/one --masks 500

mask-engine audit audits/one --send configs/audit-demo.yaml

mask-engine audit audits/one --collect configs/audit-demo.yaml

mask-engine audit audits/one --corrected runs/audited --least 0.9

mask-engine audit data-sets/one --truth truth.json --photos photos --json audit.json

First a sample is drawn; people correct it in Label Studio, or a truth file stands in for them;
then the pairs are compared."""
_CALIBRATE_EPILOG: Final = """[bold]Examples[/bold]

mask-engine auto photos --out runs/low --checkpoint mine.safetensors \\
  --set min_predicted_iou=0.3 --set min_stability=0.3

mask-engine calibrate runs/low --truth truth.json --photos photos --checkpoint mine.safetensors

The thresholds are stored in the checkpoint, and used by `mask-engine auto` from then on."""

TruthOption = Annotated[
    Path | None, typer.Option(help="COCO file in which every object has a mask.")
]
PhotosOption = Annotated[
    Path | None, typer.Option(help="Folder of the truth's photos. \\[beside the file]")
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command("audit", epilog=_AUDIT_EPILOG)(audit)
    app.command("calibrate", epilog=_CALIBRATE_EPILOG)(calibrate)


def audit(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run or data set, or its sample.")],
    *,
    sample: Annotated[
        str | None, typer.Option(help="Only draw a sample of masks into this new run.")
    ] = None,
    masks: Annotated[int, typer.Option(min=1, help="Masks of the sample.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the sample, and of intervals.")] = 0,
    send: Annotated[
        str | None, typer.Option(help="Only send a sample to people, as this YAML file says.")
    ] = None,
    collect: Annotated[
        str | None, typer.Option(help="Only collect what they finished, by the same file.")
    ] = None,
    corrected: Annotated[
        str | None, typer.Option(help="The run of what people made of the sample.")
    ] = None,
    truth: TruthOption = None,
    photos: PhotosOption = None,
    least: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Fail if fewer masks than this share are over 90 % IoU."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every figure to this file.")
    ] = None,
) -> None:
    """Compare masks with their corrected form: shares over 90 % and 75 % IoU.

    By size, source and score, with 95 % intervals over photos. With --least it can block a
    release: exit code 1.
    """
    if sample is not None:
        from engine.quality.pairs import sample_masks

        count = sample_masks(run, sample, masks=masks, seed=seed)
        result(f"{count} masks of {run} in {sample}: have them corrected, then --corrected")
        return
    if send is not None or collect is not None:
        _with_people(run, send, collect)
        return
    from engine.quality.audit import audit as audit_pairs
    from engine.quality.audit import audit_json, audit_lines, block

    judged = audit_pairs(_pairs(run, corrected, truth, photos), seed=seed)
    for line in audit_lines(judged):
        result(line)
    if json_file:
        json_file.write_text(json.dumps(audit_json(judged), indent=1), encoding="utf-8")
    if least is not None:
        block(judged, least)


def calibrate(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="An automatic run with low thresholds.")
    ],
    *,
    checkpoint: Annotated[
        Path, typer.Option(help="The checkpoint that made it; the thresholds are stored in it.")
    ],
    precision: Annotated[
        float, typer.Option(min=0, max=1, help="Share of kept masks that have to be right.")
    ] = 0.9,
    right_iou: Annotated[
        float, typer.Option(min=0, max=1, help="A mask is right from this IoU on.")
    ] = 0.75,
    corrected: Annotated[
        str | None, typer.Option(help="The run of what people made of RUN's masks.")
    ] = None,
    truth: TruthOption = None,
    photos: PhotosOption = None,
) -> None:
    """Find thresholds of predicted IoU and stability that give a wanted precision."""
    from engine.quality.calibrate import calibrate as choose
    from engine.quality.store import require_checkpoint_of, store_thresholds

    require_checkpoint_of(run, checkpoint)
    found = choose(_pairs(run, corrected, truth, photos), precision=precision, right_iou=right_iou)
    store_thresholds(checkpoint, run, found)
    rows = [
        ("predicted IoU of at least", f"{found.thresholds.predicted_iou:g}"),
        ("stability of at least", f"{found.thresholds.stability:g}"),
        ("precision", f"{found.precision:.1%}, was {found.precision_before:.1%}"),
        ("masks kept", f"{found.kept:,} of {found.masks:,}"),
        ("right ones kept", f"{found.right_kept:.1%}"),
        ("stored in", str(checkpoint)),
    ]
    for line in columns(rows, indent=0):
        result(line)


def _with_people(sample: str, send: str | None, collect: str | None) -> None:
    from engine.commands.extras import require_client

    require_client()
    from engine.quality.sending import collect_sample, read_audit_settings, send_sample

    if send is not None:
        sent = send_sample(sample, read_audit_settings(send))
        result(f"{sent.added + sent.there} photos to correct, {sent.added} of them new: {sent.url}")
    if collect is not None:
        settings = read_audit_settings(collect)
        found = collect_sample(sample, settings)
        result(f"{found.finished} photos are corrected: --corrected {settings.out}")


def _pairs(run: str, corrected: str | None, truth: Path | None, photos: Path | None) -> list[Pair]:
    from engine.evaluation.truth import read_truth
    from engine.quality.pairs import pairs_with_corrections, pairs_with_truth

    if (corrected is None) == (truth is None):
        raise ConfigurationError(
            "say what masks are compared with: --corrected RUN of people, or --truth FILE"
        )
    if corrected is not None:
        return list(pairs_with_corrections(run, corrected))
    known = read_truth(truth, photos) if truth is not None else []
    return list(pairs_with_truth(run, {str(p.path.absolute()): p for p in known}))

"""`mask-engine auto`: photos in, automatic masks out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from engine.console import byte_size, columns, duration, progress, result
from model.errors import ConfigurationError

if TYPE_CHECKING:
    from pipelines.automatic import Progress, Summary
    from pipelines.estimate import Estimate
    from pipelines.run_config import AutomaticRun

EPILOG: Final = """[bold]Examples[/bold]

mask-engine auto ~/photos --out runs/mine

mask-engine auto 'photos/**/*.jpg' --out runs/mine --preset fast --workers 2

mask-engine auto s3://bucket/photos --out s3://bucket/runs/one --checkpoint sam_vit_b

mask-engine auto ~/photos --out runs/mine --set min_predicted_iou=0.9 --set nms_iou=0.6

mask-engine auto --config configs/auto-default.yaml ~/photos --out runs/mine

mask-engine auto ~/photos --out runs/mine -- --runner=PrismRunner

Kill it whenever you like: the same command goes on where it stopped."""


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("auto", epilog=EPILOG, context_settings={"allow_extra_args": True})(auto)


def auto(
    ctx: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Photos: a folder, a glob in quotes, a .txt file of addresses, or a URL.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The run's folder: a path or a URL.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="starter, a name (see `checkpoints list`) or a file. \\[starter]"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="default (32x32 points), fast (16x16) or sa1b (the paper's)."),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="YAML file of settings; flags win over it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(help="Photos a shard. \\[from their number]")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(metavar="N", help="Processes side by side. \\[auto: the fastest]"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads a worker. \\[the cores shared out]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps. \\[cpu]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of the image encoder: float32 or bfloat16. \\[float32]")
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the image encoder (for GPUs)."),
    ] = None,
    embed_images: Annotated[
        bool | None,
        typer.Option("--embed-images/--no-embed-images", help="Keep the photos in the shards."),
    ] = None,
    source_name: Annotated[
        str | None, typer.Option(help="Name of the source, part of ids. \\[last part of SOURCE]")
    ] = None,
    max_failed_share: Annotated[
        float | None, typer.Option(help="Stop if a larger share of photos fails. \\[0.5]")
    ] = None,
    append: Annotated[
        bool | None, typer.Option("--append", help="Add photos that are new in the source.")
    ] = None,
    retry_failed: Annotated[
        bool | None,
        typer.Option("--retry-failed", help="Try photos again that failed for a passing reason."),
    ] = None,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", help="Only say what it would do and cost.")
    ] = None,
) -> None:
    """Find every object in a folder of photos; nobody has to click.

    Writes Parquet shards, one row a photo, and a summary. Options for Apache Beam go behind --.
    """
    flags = {
        "source": source,
        "out": out,
        "checkpoint": checkpoint,
        "preset": preset,
        "shard_size": shard_size,
        "workers": _number_or_auto(workers),
        "threads": threads,
        "device": device,
        "precision": precision,
        "compile": compiled,
        "embed_images": embed_images,
        "source_name": source_name,
        "max_failed_share": max_failed_share,
        "append": append,
        "retry_failed": retry_failed,
        "dry_run": dry_run,
        "beam_options": _beam_options(ctx.args),
    }
    run = build_run(config, settings or [], flags)
    if run.dry_run:
        _tell_estimate(run)
        return
    from pipelines.automatic import run_automatic

    with progress("masks", "photos") as meter:

        def tell(now: Progress) -> None:
            failed = f", {now.failed} failed" if now.failed else ""
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks{failed}")

        summary = run_automatic(run, progress=tell)
    why = run.why_workers(summary.workers, summary.shards)
    for line in summary_lines(summary, why):
        result(line)
    result(f"\nLook at it:  mask-engine report {run.out}")


def build_run(config: str | None, pairs: list[str], flags: dict[str, Any]) -> AutomaticRun:
    """The run that file, `--set` and flags describe together; the later wins.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    from engine.configuration import build, parse_assignments, read_yaml
    from pipelines.run_config import AutomaticRun
    from stages.parameters import AutomaticParameters
    from stages.presets import parameters_for

    layers = [
        {"workers": "auto"},
        read_yaml(config) if config else {},
        _nested(parse_assignments(pairs)),
        {name: value for name, value in flags.items() if value is not None},
    ]
    known = {name for layer in layers for name in layer}
    for name, what in (("source", "SOURCE, the photos,"), ("out", "--out, the run's folder,")):
        if name not in known:
            raise ConfigurationError(f"{what} is missing; give it, or set {name} in --config FILE")
    run = build(
        AutomaticRun,
        layers,
        origin=config or "settings",
        also_known=AutomaticParameters.model_fields,
    )
    try:
        parameters_for(run.preset, run.parameters)  # refuses now what would else be refused later
    except ConfigurationError as error:
        raise ConfigurationError(f"{config or 'settings'}: {error}") from None
    return run


def summary_lines(summary: Summary, why_workers: str | None = None) -> list[str]:
    """A short table of what a run gave and cost, and why it had so many workers."""
    readable = summary.images - summary.failed
    pairs = [
        ("photos", f"{summary.images:,}"),
        ("masks", f"{summary.masks:,}"),
        ("masks a photo", f"{summary.masks / max(1, readable):.1f}"),
        ("failed", f"{summary.failed:,}"),
        ("photos a second", f"{summary.images_per_second:.2f}"),
        ("workers", _workers(summary, why_workers)),
        ("time at work", duration(summary.elapsed_seconds)),
    ]
    lines = columns(pairs, indent=0)
    if summary.failures:
        lines += ["", "failures", *_counts(summary.failures)]
    if summary.dropped:
        lines += ["", f"dropped, of {summary.proposals:,} proposals", *_counts(summary.dropped)]
    if summary.thresholds is not None:
        lines += ["", "thresholds", *(f"  {reason}" for reason in summary.thresholds.reasons)]
    if summary.seconds and readable > 0:
        lines += ["", *_cost_of_a_photo(summary.seconds, readable)]
    return lines


def _cost_of_a_photo(seconds: dict[str, float], photos: int) -> list[str]:
    """What one photo takes a worker, the dearest step first; photos are read meanwhile."""
    whole = sum(seconds.values())
    by_cost = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        (step, f"{spent / photos:,.3f}", f"{spent / max(whole, 1e-9):.0%}")
        for step, spent in by_cost
    ]
    return [f"seconds a photo, {whole / photos:,.2f} in all", *columns(rows)]


def _workers(summary: Summary, why: str | None) -> str:
    threads = f"{summary.threads} thread{'s' if summary.threads > 1 else ''}"
    each = " each" if summary.workers > 1 else ""
    return f"{summary.workers} with {threads}{each}{f': {why}' if why else ''}"


def _number_or_auto(workers: str | None) -> int | str | None:
    """Raises ConfigurationError if it is neither."""
    if workers is None or workers == "auto":
        return workers
    if not workers.isdecimal():
        raise ConfigurationError(f"--workers is {workers!r}; give a number of processes, or auto")
    return int(workers)


def _counts(counts: dict[str, int]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return columns((name, f"{count:,}") for name, count in ordered if count)


def _nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Lets `--set nms_iou=0.6` stand for `--set parameters.nms_iou=0.6`."""
    from engine.configuration import merge
    from pipelines.run_config import AutomaticRun
    from stages.parameters import AutomaticParameters

    own = AutomaticRun.model_fields
    inner = {
        name: value
        for name, value in settings.items()
        if name not in own and name in AutomaticParameters.model_fields
    }
    outer = {name: value for name, value in settings.items() if name not in inner}
    return merge(outer, {"parameters": inner}) if inner else outer


def _beam_options(rest: list[str]) -> tuple[str, ...] | None:
    """What stands behind `--`; more photos there are a glob that the shell has spread out.

    Raises:
        ConfigurationError: if the rest does not begin with an option.
    """
    if not rest:
        return None
    if not rest[0].startswith("-"):
        raise ConfigurationError(
            f"one SOURCE is expected, and {rest[0]!r} is one more: put a glob in quotes, or list "
            "the photos in a .txt file. Options for Beam begin with - and go behind --"
        )
    return tuple(rest)


def _tell_estimate(run: AutomaticRun) -> None:
    from pipelines.estimate import estimate_run

    with progress("trying a few photos", "photos"):
        estimate = estimate_run(run)
    lines = columns(
        [
            ("photos", f"{estimate.images:,}"),
            ("shards", f"{estimate.shards:,}"),
            ("time, about", duration(estimate.seconds)),
            ("disk, about", byte_size(estimate.disk_bytes)),
            ("masks, about", f"{estimate.masks:,}"),
            ("tried out", _tried(estimate)),
        ],
        indent=0,
    )
    for line in lines:
        result(line)


def _tried(estimate: Estimate) -> str:
    failed = f", {estimate.sampled_failed} failed" if estimate.sampled_failed else ""
    return f"{estimate.sampled} photos{failed}"
